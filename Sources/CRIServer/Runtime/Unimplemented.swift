public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore

extension RuntimeServer {
    private func unimplemented(_ context: ServerContext) -> BerthError {
        BerthError(.unimplemented, "\(context.descriptor.method) is not implemented yet")
    }

    public func checkpointContainer(
        request: Runtime_V1_CheckpointContainerRequest, context: ServerContext
    ) async throws -> Runtime_V1_CheckpointContainerResponse {
        throw unimplemented(context)
    }

    public func checkpointPod(
        request: Runtime_V1_CheckpointPodRequest, context: ServerContext
    ) async throws -> Runtime_V1_CheckpointPodResponse {
        throw unimplemented(context)
    }

    public func restorePod(
        request: Runtime_V1_RestorePodRequest, context: ServerContext
    ) async throws -> Runtime_V1_RestorePodResponse {
        throw unimplemented(context)
    }
}
