public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore
internal import Streaming

extension RuntimeServer {
    public func exec(request: Runtime_V1_ExecRequest, context: ServerContext) async throws -> Runtime_V1_ExecResponse {
        guard !request.cmd.isEmpty else { throw BerthError(.invalidArgument, "cmd is empty") }
        let container = try engine.runningContainer(required(request.containerID, field: "container_id"))
        let command = try CommandRequest(
            container: container.id, tty: request.tty, stdin: request.stdin, stdout: request.stdout,
            stderr: request.stderr
        ).checked()
        let url = try streaming.url(for: .exec(command, command: request.cmd))
        return .with { $0.url = url }
    }
}

extension CommandRequest {
    /// What the CRI says of the flags.
    func checked() throws -> CommandRequest {
        guard stdin || stdout || stderr else {
            throw BerthError(.invalidArgument, "one of stdin, stdout and stderr must be set")
        }
        guard !(tty && stderr) else {
            throw BerthError(.invalidArgument, "stderr: must not be set with tty, whose output is one stream")
        }
        return self
    }
}
