internal import ArgumentParser
private import ContainerdAPI
private import SwiftProtobuf
private import Terminal

struct SnapshotInfo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Get info about a snapshot",
        discussion: """
            EXAMPLE:
              berth-ctr -n k8s.io snapshots info KEY
            """)

    @OptionGroup var options: SnapshotterOptions

    @Argument(help: "Key")
    var key: String

    func run() async throws {
        let info = try await Connection.open { daemon in
            try await doing("info of snapshot \(key)") {
                try await daemon.snapshots.stat(
                    .with {
                        $0.snapshotter = options.name
                        $0.key = key
                    }, options: Session.current.callOptions
                ).info
            }
        }
        let labels = info.labels.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, .string($0.value)) }
        var members = [JSONValue.Member("Kind", .string(info.kind.word)), .init("Name", .string(info.name))]
        if !info.parent.isEmpty { members.append(.init("Parent", .string(info.parent))) }
        if !labels.isEmpty { members.append(.init("Labels", .object(labels))) }
        members.append(.init("Created", .string(Self.text(info.createdAt))))
        members.append(.init("Updated", .string(Self.text(info.updatedAt))))
        Output.line(JSONValue.object(members).rendered(indentation: 4))
    }

    private static func text(_ time: Google_Protobuf_Timestamp) -> String {
        Timestamp(seconds: time.seconds, nanoseconds: Int64(time.nanos)).rfc3339(in: .utc)
    }
}
