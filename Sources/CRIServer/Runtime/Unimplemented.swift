public import CRIAPI
internal import Core
internal import Engine
public import GRPCCore

/// Checkpoints of whole pods: no release of the field's runtimes has them, and no kubelet calls them.
extension RuntimeServer {
    private func unimplemented(_ context: ServerContext) -> BerthError {
        BerthError(
            .unimplemented, "\(context.descriptor.method) is not implemented: containers are checkpointed one by one",
            advice: "call CheckpointContainer for each, and CreateContainer with the archive as its image")
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
