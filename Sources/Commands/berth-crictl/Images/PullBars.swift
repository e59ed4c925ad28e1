internal import ContainerdAPI
private import GRPCCore
private import SwiftProtobuf
private import Terminal

/// How far a pull is, on standard error: a bar for each blob, by what Berth's event `/images/pull` tells.
struct PullBars {
    /// As it is asked for.
    let image: String
    let events: Containerd_Services_Events_V1_Events.Client<Connection.Transport>

    func show<Result: Sendable>(_ pull: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let board = ProgressBoard(output: .standardError)
        board.update(.init(name: image, state: "pulling"))
        // The daemon's answer begins with the first event, so no time limit applies. A runtime without such events is no problem.
        let listening = Task {
            try? await events.subscribe(.with { $0.filters = [#"topic=="/images/pull""#] }) { response in
                for try await envelope in response.messages {
                    guard let step = try? Berth_Events_V1_ImagePull(serializedBytes: envelope.event.value),
                        Self.isOf(step.name, image)
                    else { continue }
                    board.update(Self.item(step))
                }
            }
        }
        defer { listening.cancel() }
        return try await board.whileDrawing {
            let result = try await pull()
            board.update(.init(name: image, state: "pulled", isFinished: true))
            return result
        }
    }

    /// Whether an event's full name is what was asked for, perhaps in short.
    static func isOf(_ name: String, _ image: String) -> Bool {
        let last = image.split(separator: "/").last ?? ""
        let whole = last.contains(":") || last.contains("@") ? image : image + ":latest"
        return name == whole || name.hasSuffix("/" + whole)
    }

    private static func item(_ step: Berth_Events_V1_ImagePull) -> ProgressBoard.Item {
        // As crictl and docker name layers: the first twelve digits.
        let digest = step.digest.split(separator: ":").last.map { String($0.prefix(12)) } ?? step.digest
        return .init(
            name: "  " + digest, state: step.state, done: UInt64(max(step.received, 0)),
            total: UInt64(max(step.total, 0)), isFinished: step.state == "done" || step.state == "exists")
    }
}
