internal import Core
private import Glibc
internal import LinuxKernel
public import SystemPackage

/// The directories of snapshots.
///
///     ROOT/N/fs           the tree; of a layer kept as an image, where that is mounted
///     ROOT/N/work         overlayfs's work directory, of active snapshots only
///     ROOT/N/layer.erofs  a layer kept as an image
///     ROOT/N/joined       of the topmost of very many layers that are mounted as one: where that is
///     ROOT/new-X/         being made; renamed to N when whole
///
/// A directory exists before its row, and goes before the tombstone that its row has become: a crash leaves directories
/// without rows, which `removeStrangers` finds, and tombstones, and never a row without its directory.
public struct SnapshotDirectories: Sendable {
    public let root: FilePath

    /// - Parameter root: made if it does not exist.
    public init(root: FilePath) throws {
        self.root = root
        do {
            try Files.makeDirectories(root, mode: 0o700)
        } catch {
            throw BerthError(.internal, "make snapshot directory \(root)", cause: error)
        }
    }

    func directory(_ id: Int64) -> FilePath { root.appending("\(id)") }

    public func tree(_ id: Int64) -> FilePath { directory(id).appending("fs") }

    /// A new directory with an empty tree, mode 0755.
    func stage() throws -> LayerStaging {
        let directory = root.appending("new-\(Identifier.random().prefix(24))")
        let tree = directory.appending("fs")
        do {
            try EntryCalls.makeDirectory(directory, mode: 0o700)
            let outer = try OwnedDescriptor.directory(directory)
            defer { outer.close() }
            // What is made in it has the modes that it is given, whatever default access control list the root has.
            try EntryCalls.removeAccessLists(outer.fd, [0x2e, 0])
            try EntryCalls.setPermissions(outer.fd, 0o700)
            try EntryCalls.makeDirectory(tree, mode: 0o755)
            let opened = try OwnedDescriptor.directory(tree)
            defer { opened.close() }
            // Whatever the umask.
            try EntryCalls.setPermissions(opened.fd, 0o755)
        } catch {
            try? EntryCalls.removeTree(directory)
            throw Self.describe(error, "make snapshot directory \(directory)")
        }
        return LayerStaging(tree: tree, directory: directory)
    }

    /// Gives a staged directory its number.
    func place(_ staged: FilePath, as id: Int64) throws {
        let target = directory(id)
        do {
            try EntryCalls.rename(staged, to: target)
        } catch {
            guard error == .directoryNotEmpty || error == .fileExists else { throw error }
            // Left by a crash between the rename and the row: numbers are never given out twice.
            try Self.remove(target)
            try EntryCalls.rename(staged, to: target)
        }
    }

    /// Makes all that was written durable.
    func synchronize() throws {
        let directory = try OwnedDescriptor.directory(root)
        defer { directory.close() }
        try EntryCalls.synchronizeFilesystem(directory.fd)
    }

    /// Makes the names in the root durable.
    func synchronizeNames() throws {
        let directory = try OwnedDescriptor.directory(root)
        defer { directory.close() }
        try EntryCalls.synchronize(directory.fd)
    }

    /// Removes the directory of a retired snapshot; one that is not there is no error.
    public func discard(_ id: Int64) async throws {
        let directory = directory(id)
        do {
            try await BlockingWork.run { try Self.remove(directory) }
        } catch {
            throw BerthError(.internal, "remove snapshot directory \(directory)", cause: error)
        }
    }

    /// Removes every directory but those of `known`. Only while nothing is being made.
    ///
    /// - Returns: how many there were.
    public func removeStrangers(known: Set<Int64>) async throws -> Int {
        let names = Set(known.map { "\($0)" })
        let strangers = try Files.list(root).filter { !names.contains($0) }
        let root = root
        try await BlockingWork.run {
            for name in strangers { try Self.remove(root.appending(name)) }
        }
        return strangers.count
    }

    /// Removes a snapshot's directory, with the image that may be mounted in it.
    static func remove(_ directory: FilePath) throws(Errno) {
        for path in [JoinedLayers.target(in: directory), directory.appending("fs")] {
            while isMountPoint(path, in: directory) { try Syscall.umount2(path, [.detach, .noFollow]) }
        }
        try EntryCalls.removeTree(directory)
    }

    static func isMountPoint(_ tree: FilePath, in directory: FilePath) -> Bool {
        guard let inside = try? EntryCalls.status(tree), let outside = try? EntryCalls.status(directory) else {
            return false
        }
        return inside.device != outside.device
    }

    static func empty(_ tree: FilePath) throws(Errno) {
        let directory = try OwnedDescriptor.directory(tree)
        defer { directory.close() }
        for name in try EntryCalls.names(in: directory.fd) { try EntryCalls.removeTree(directory.fd, name) }
    }

    static func describe(_ error: any Error, _ what: String) -> any Error {
        guard let error = error as? Errno else { return error }
        let isFull = error == .noSpace || error == Errno(rawValue: EDQUOT)
        return BerthError(isFull ? .resourceExhausted : .internal, what, cause: error)
    }
}
