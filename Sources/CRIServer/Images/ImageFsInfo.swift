public import CRIAPI
internal import Engine
public import GRPCCore

extension ImageServer {
    public func imageFsInfo(
        request: Runtime_V1_ImageFsInfoRequest, context: ServerContext
    ) async throws -> Runtime_V1_ImageFsInfoResponse {
        let info = try await engine.imageFilesystem()
        let usage = Runtime_V1_FilesystemUsage(
            FilesystemUsage(
                timestamp: info.time, mountpoint: info.path, usedBytes: UInt64(clamping: info.bytes),
                inodes: UInt64(clamping: info.inodes)))
        return Runtime_V1_ImageFsInfoResponse.with {
            $0.imageFilesystems = [usage]
            // Writable layers stand beside the image's: one filesystem for both.
            $0.containerFilesystems = [usage]
        }
    }
}
