internal import ArgumentParser
private import ContainerdAPI
private import Core

struct RemoveImages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove one or more images by reference",
        discussion: """
            EXAMPLES:
              berth-ctr images rm docker.io/library/busybox:local
              berth-ctr images rm --sync $(berth-ctr images ls -q)
            """, aliases: ["del", "remove", "rm"])

    @Flag(help: "Synchronously remove image and all associated resources")
    var sync = false

    @Argument(help: "Names")
    var names: [String]

    func run() async throws {
        try await Connection.open { daemon in
            var missing: [String] = []
            for name in names {
                do {
                    try await doing("remove image \(name)") {
                        _ = try await daemon.images.delete(
                            .with {
                                $0.name = name
                                $0.sync = sync && name == names.last
                            }, options: Session.current.callOptions)
                    }
                    Output.line(name)
                } catch let error as BerthError where error.code == .notFound {
                    missing.append(name)
                }
            }
            guard missing.isEmpty else {
                throw BerthError(.notFound, "image not found: \(missing.joined(separator: ", "))")
            }
        }
    }
}
