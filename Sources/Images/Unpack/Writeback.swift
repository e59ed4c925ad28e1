internal import Core
internal import LinuxKernel
internal import SystemPackage

/// Lets the disk work while layers are still being written, so that the sync at their end has little left to wait for.
///
/// By itself the kernel begins only after half a minute, or when a good part of the memory is dirty.
enum Writeback {
    /// Between two rounds, and before the first: a small image is whole by then.
    private static let pause = Duration.milliseconds(500)

    /// Runs `body`; meanwhile everything on the filesystem of `directory` is written out, round after round.
    static func goingOn<Result>(in directory: FilePath, _ body: () async throws -> Result) async throws -> Result {
        let rounds = Task<Void, any Error> {
            while true {
                try await Task.sleep(for: pause)
                try await BlockingWork.run {
                    let opened = try OwnedDescriptor.directory(directory)
                    defer { opened.close() }
                    try EntryCalls.synchronizeFilesystem(opened.fd)
                }
            }
        }
        do {
            let result = try await body()
            rounds.cancel()
            return result
        } catch {
            rounds.cancel()
            // Whoever is told of the failure may want to unmount the filesystem.
            _ = await rounds.result
            throw error
        }
    }
}
