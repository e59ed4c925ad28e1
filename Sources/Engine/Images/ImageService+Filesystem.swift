internal import Core
internal import Images
internal import LinuxKernel
internal import Store

extension ImageService {
    /// What blobs and snapshots of all namespaces occupy, measured in allocated blocks: also what is still being downloaded or
    /// unpacked, and what was put aside because it is damaged.
    public func fsInfo() async throws -> ImageFilesystem {
        let storage = storage
        var layers: [Int64: (kind: SnapshotterKind, usage: SnapshotUsage)] = [:]
        for row in try await storage.database.read({ try $0.snapshots(namespace: nil) }) {
            guard !row.isTombstone, row.kind == .committed, let kind = SnapshotterKind(rawValue: row.snapshotter) else {
                continue
            }
            layers[row.id] = (kind, SnapshotUsage(bytes: row.size, inodes: row.inodes))
        }
        let known = layers
        let usage = try await BlockingWork.run {
            try storage.directories.usage(layers: known) + TreeUsage.measure(storage.blobs.root)
        }
        return ImageFilesystem(
            path: storage.root.appending("snapshots").string, bytes: usage.bytes, inodes: usage.inodes,
            time: WallClock.now())
    }
}
