public import CRIAPI
internal import Engine
public import GRPCCore
internal import Streaming

extension RuntimeServer {
    public func attach(
        request: Runtime_V1_AttachRequest, context: ServerContext
    ) async throws -> Runtime_V1_AttachResponse {
        let container = try engine.runningContainer(required(request.containerID, field: "container_id"))
        let command = try CommandRequest(
            container: container.id, tty: request.tty, stdin: request.stdin, stdout: request.stdout,
            stderr: request.stderr
        ).checked()
        let url = try streaming.url(for: .attach(command))
        return .with { $0.url = url }
    }
}
