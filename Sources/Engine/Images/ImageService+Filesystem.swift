internal import Core
internal import Images
internal import LinuxKernel
internal import Store

extension ImageService {
    /// What blobs and snapshots of all namespaces occupy, measured in allocated blocks.
    public func fsInfo() async throws -> ImageFilesystem {
        var info = ImageFilesystem(
            path: storage.root.appending("snapshots").string, bytes: 0, inodes: 0, time: WallClock.now())
        for blob in try storage.blobs.list() {
            // A blob may go while we look.
            guard let status = try? Syscall.stat(storage.blobs.path(of: blob.digest)) else { continue }
            info.bytes += status.blocks * 512
            info.inodes += 1
        }
        for snapshot in try await storage.database.read({ try $0.snapshots(namespace: nil) }) {
            if snapshot.isTombstone {
                continue
            } else if snapshot.kind == .committed {
                info.bytes += snapshot.size
                info.inodes += snapshot.inodes
            } else {
                let scope = StorageScope(
                    namespace: snapshot.namespace, snapshotter: SnapshotterKind(rawValue: snapshot.snapshotter))
                // A snapshot may go while we look.
                guard let usage = try? await storage.snapshotter(scope).usage(snapshot.key) else { continue }
                info.bytes += usage.bytes
                info.inodes += usage.inodes
            }
        }
        return info
    }
}
