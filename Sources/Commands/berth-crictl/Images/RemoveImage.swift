internal import ArgumentParser
internal import CRIAPI
private import Core

struct RemoveImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rmi", abstract: "Remove one or more images",
        discussion: """
            CRI removes an image with all its tags; berth-ctr images rm removes one name.

            EXAMPLES:
              berth-crictl rmi docker.io/library/busybox:local
              berth-crictl rmi --prune              # those that no container uses
            """)

    @Flag(name: [.short, .long], help: "Remove all images")
    var all = false

    @Flag(name: [.customShort("q"), .long], help: "Remove all unused images")
    var prune = false

    @Argument(help: ArgumentHelp("Image ID or reference", valueName: "image-id"))
    var images: [String] = []

    func validate() throws {
        if !all && !prune && images.isEmpty { throw ValidationError("name an image or use --all or --prune") }
    }

    func run() async throws {
        try await Connection.open { cri in
            var names = images
            if all || prune {
                names += try await cri.listImages(nil).filter { !(prune && $0.pinned) }.map(\.id)
                if prune {
                    let used = try await usedImages(cri)
                    names.removeAll { used.contains($0) }
                }
                if names.isEmpty { Output.line("No images to remove") }
            }
            try await forEach(names) { name in
                let status = try await cri.imageStatus(name)
                guard status.hasImage else { throw BerthError.notFound("image", name) }
                let tags = status.image.repoTags
                if tags.count > 1, !status.image.id.contains(name) {
                    Output.warn("image \(name) has several tags, and all are removed: \(tags.joined(separator: ", "))")
                }
                do {
                    try await doing("remove image \(name)") {
                        _ = try await cri.images.removeImage(
                            .with { $0.image.image = name }, options: Session.current.acting)
                    }
                } catch  where prune {
                    // A container may have begun to use it since.
                    return Output.warn("\(error)")
                }
                (tags.isEmpty ? status.image.repoDigests : tags).forEach { Output.line("Deleted: \($0)") }
            }
        }
    }

    private func usedImages(_ cri: Connection) async throws -> Set<String> {
        var used: Set<String> = []
        for reference in Set(try await cri.listContainers(.init()).map(\.image.image)) {
            used.insert(try await cri.imageStatus(reference).image.id)
        }
        return used
    }
}
