internal import Core
private import Glibc
internal import LinuxKernel
public import SystemPackage

/// What a tree occupies: allocated blocks and inodes, a file with several names once, and nothing of what is mounted in it.
public enum TreeUsage {
    /// Deeper than any path that can be named; what a container nests further is not counted.
    private static let depthLimit = 400

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    public static func measure(_ path: FilePath) throws -> SnapshotUsage {
        do {
            let root = try OwnedDescriptor.directory(path)
            defer { root.close() }
            return try measure(root.fd)
        } catch {
            throw BerthError(.internal, "measure \(path)", cause: error)
        }
    }

    /// - Parameter skipped: names in the directory itself that are not counted, nor anything below them.
    static func measure(_ root: FileDescriptor, skipping skipped: [String] = []) throws -> SnapshotUsage {
        let status = try EntryCalls.status(root)
        var usage = SnapshotUsage(bytes: status.allocated, inodes: 1)
        var seen: Set<Identity> = []
        let names = skipped.map { Array($0.utf8CString) }
        try add(root, skipping: names, device: status.device, depth: 0, &usage, &seen)
        return usage
    }

    private static func add(
        _ directory: FileDescriptor, skipping skipped: [[CChar]] = [], device: UInt64, depth: Int,
        _ usage: inout SnapshotUsage, _ seen: inout Set<Identity>
    ) throws {
        for name in try EntryCalls.names(in: directory) where !skipped.contains(name) {
            // A running container may remove what we just listed.
            guard let status = try? EntryCalls.status(directory, name) else { continue }
            if status.kind == .directory {
                // On an overlay files have other devices than directories, without anything being mounted.
                if status.device != device { continue }
            } else if status.links > 1,
                !seen.insert(Identity(device: status.device, inode: status.inode)).inserted
            {
                continue
            }
            usage.bytes += status.allocated
            usage.inodes += 1
            guard status.kind == .directory, depth < depthLimit,
                let child = try? EntryCalls.open(directory, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            else { continue }
            let owned = OwnedDescriptor(child)
            try add(owned.fd, device: device, depth: depth + 1, &usage, &seen)
            owned.close()
        }
    }
}

extension SnapshotUsage {
    public static func + (left: SnapshotUsage, right: SnapshotUsage) -> SnapshotUsage {
        SnapshotUsage(bytes: left.bytes + right.bytes, inodes: left.inodes + right.inodes)
    }
}

extension SnapshotDirectories {
    /// What all of them occupy, with what is being made and what is being removed.
    ///
    /// - Parameter layers: committed snapshots, which do not change: who keeps them and what was measured then. Only what is beside
    ///   that is looked at.
    public func usage(layers: [Int64: (kind: SnapshotterKind, usage: SnapshotUsage)]) throws -> SnapshotUsage {
        // As a mount of its own it shows what is below the mounted images.
        let clone = try? Syscall.openTree(root, clone: true)
        defer { clone?.close() }
        let base =
            try clone.map { OwnedDescriptor(try EntryCalls.open($0.fd, [0x2e, 0], flags: O_RDONLY | O_DIRECTORY)) }
            ?? OwnedDescriptor.directory(root)
        defer { base.close() }
        let status = try EntryCalls.status(base.fd)
        var total = SnapshotUsage(bytes: status.allocated, inodes: 1)
        for name in try EntryCalls.names(in: base.fd) {
            // A snapshot may go while we look.
            guard let child = try? EntryCalls.open(base.fd, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else {
                continue
            }
            let directory = OwnedDescriptor(child)
            defer { directory.close() }
            let number = Int64(String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
            if let layer = number.flatMap({ layers[$0] }) {
                let kept = layer.kind == .erofs ? LayerImages.name : "fs"
                total = total + layer.usage
                total = try total + TreeUsage.measure(directory.fd, skipping: [kept])
            } else {
                total = try total + TreeUsage.measure(directory.fd)
            }
        }
        return total
    }
}
