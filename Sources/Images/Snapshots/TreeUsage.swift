internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// What a tree occupies: allocated blocks and inodes, a file with several names once.
enum TreeUsage {
    /// Deeper than any path that can be named; what a container nests further is not counted.
    private static let depthLimit = 400

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    static func measure(_ path: FilePath) throws -> SnapshotUsage {
        let root: OwnedDescriptor
        do {
            root = OwnedDescriptor(try EntryCalls.openDirectory(path))
        } catch {
            throw BerthError(.internal, "measure \(path)", cause: error)
        }
        var usage = SnapshotUsage()
        var seen: Set<Identity> = []
        let status = try EntryCalls.status(root.fd)
        usage.bytes += status.allocated
        usage.inodes += 1
        try add(root.fd, depth: 0, &usage, &seen)
        root.close()
        return usage
    }

    private static func add(
        _ directory: FileDescriptor, depth: Int, _ usage: inout SnapshotUsage, _ seen: inout Set<Identity>
    ) throws {
        for name in try EntryCalls.names(in: directory) {
            // A running container may remove what we just listed.
            guard let status = try? EntryCalls.status(directory, name) else { continue }
            if status.kind != .directory, status.links > 1,
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
            try add(owned.fd, depth: depth + 1, &usage, &seen)
            owned.close()
        }
    }
}
