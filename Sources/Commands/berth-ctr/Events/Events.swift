internal import ArgumentParser
private import ContainerdAPI
private import Foundation
private import Terminal

struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Display events until interrupted",
        discussion: """
            EXAMPLES:
              berth-ctr events
              berth-ctr events 'topic~="/images/"'
            """, aliases: ["event"])

    @Argument(help: "Filters of containerd's language")
    var filters: [String] = []

    func run() async throws {
        try await Connection.open { daemon in
            // The daemon's answer begins with the first event, so no time limit applies.
            try await daemon.events.subscribe(.with { $0.filters = filters }) { response in
                for try await envelope in response.messages { Output.line(Self.describe(envelope)) }
            }
        }
    }

    /// `2026-11-22 20:47:50.435601687 +0000 UTC k8s.io /images/create {"name":"..."}`.
    private static func describe(_ envelope: Containerd_Types_Envelope) -> String {
        let time = Timestamp(seconds: envelope.timestamp.seconds, nanoseconds: Int64(envelope.timestamp.nanos))
        let text = time.rfc3339(in: .utc).replacingOccurrences(of: "T", with: " ").replacingOccurrences(
            of: "Z", with: "")
        let event = EventText.json(typeURL: envelope.event.typeURL, Array(envelope.event.value))
        return "\(text) +0000 UTC \(envelope.namespace) \(envelope.topic) \(event)"
    }
}
