internal import Core
private import Glibc
internal import LinuxKernel
private import Synchronization
internal import SystemPackage

/// Layers as EROFS images, `N/layer.erofs`, mounted at `N/fs` when they are first needed and unmounted when the layer is removed.
///
/// A mount stays when the daemon ends, since containers use it.
struct LayerImages: LayerStorage {
    var snapshotter: String { "erofs" }

    /// Two that need the same layer must not mount it twice.
    private static let mounting = Mutex(())

    static func image(in directory: FilePath) -> FilePath { directory.appending("layer.erofs") }

    func seal(_ directory: FilePath) throws -> SnapshotUsage? {
        let image = Self.image(in: directory)
        // Left by a commit that failed after it.
        do { try EntryCalls.unlink(image) } catch Errno.noSuchFileOrDirectory {}
        try ErofsImage.write(directory.appending("fs"), to: image)
        return SnapshotUsage(bytes: try EntryCalls.status(image).allocated, inodes: 1)
    }

    func tidy(_ directory: FilePath) throws {
        try SnapshotDirectories.empty(directory.appending("fs"))
    }

    func open(_ directory: FilePath) throws {
        let tree = directory.appending("fs")
        guard !SnapshotDirectories.isMountPoint(tree, in: directory) else { return }
        try Self.mounting.withLock { _ in
            guard !SnapshotDirectories.isMountPoint(tree, in: directory) else { return }
            // A crash may have come between the image and the end of the tree that it was made of.
            try tidy(directory)
            do {
                try Self.mount(Self.image(in: directory), at: tree)
            } catch {
                throw BerthError(.internal, "mount EROFS image \(Self.image(in: directory))", cause: error)
            }
        }
    }

    static func mount(_ image: FilePath, at target: FilePath) throws(Errno) {
        let mount: OwnedDescriptor
        do throws(Errno) {
            mount = try prepare(source: image)
        } catch {
            // Before Linux 6.12, or without EROFS_FS_BACKED_BY_FILE, it wants a block device.
            guard error == Errno(rawValue: ENOTBLK) else { throw error }
            let file = try Syscall.open(image, [.readOnly])
            defer { file.close() }
            let loop = try Syscall.attachLoopDevice(file.fd)
            defer { loop.device.close() }
            mount = try prepare(source: loop.path)
        }
        defer { mount.close() }
        try Syscall.moveMount(mount.fd, to: target)
    }

    private static func prepare(source: FilePath) throws(Errno) -> OwnedDescriptor {
        let context = try Syscall.fsopen("erofs")
        defer { context.close() }
        try Syscall.fsconfig(context.fd, .string("source", source.string))
        try Syscall.fsconfig(context.fd, .flag("ro"))
        try Syscall.fsconfig(context.fd, .create)
        return try Syscall.fsmount(context.fd, attributes: [.readOnly, .noDevices, .noSUID])
    }
}
