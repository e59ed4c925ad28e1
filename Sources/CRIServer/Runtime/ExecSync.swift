public import CRIAPI
internal import Core
internal import Foundation
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func execSync(
        request: Runtime_V1_ExecSyncRequest, context: ServerContext
    ) async throws -> Runtime_V1_ExecSyncResponse {
        guard !request.cmd.isEmpty else { throw BerthError(.invalidArgument, "cmd is empty") }
        let result = try await engine.execSync(
            request.cmd, in: required(request.containerID, field: "container_id"),
            timeout: request.timeout > 0 ? .seconds(request.timeout) : nil)
        return Runtime_V1_ExecSyncResponse.with {
            $0.stdout = Data(result.stdout)
            $0.stderr = Data(result.stderr)
            $0.exitCode = result.exitCode
        }
    }
}
