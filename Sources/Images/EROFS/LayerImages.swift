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
    var isOpened: Bool { true }

    /// Asks the filesystem for fs-verity.
    var enableVerity: @Sendable (FileDescriptor) throws(Errno) -> Void = { file throws(Errno) in
        try Syscall.enableVerity(file)
    }

    /// Two that need the same layer must not mount it twice.
    private static let mounting = Mutex(())

    static let name = "layer.erofs"

    static func image(in directory: FilePath) -> FilePath { directory.appending(name) }

    func seal(_ directory: FilePath) throws {
        let image = Self.image(in: directory)
        // Left by a commit that failed after it.
        do { try EntryCalls.unlink(image) } catch Errno.noSuchFileOrDirectory {}
        try ErofsImage.write(directory.appending("fs"), to: image)
    }

    func usage(_ directory: FilePath) throws -> SnapshotUsage {
        SnapshotUsage(bytes: try EntryCalls.status(Self.image(in: directory)).allocated, inodes: 1)
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

    func archiveImage(in directory: FilePath) -> FilePath? {
        let isSupported = Self.takesArchives.withLock { known in
            if let known { return known }
            // The first releases of Linux 6.12, which began to mount files, panic where such a file has blocks smaller than a page:
            // mended by "erofs: fix blksize < PAGE_SIZE for file-backed mounts".
            let isSafe = KernelRelease.running != KernelRelease(6, 12)
            let verdict = isSafe && ArchiveImage.isSupported(in: directory)
            known = verdict
            return verdict
        }
        return isSupported ? Self.image(in: directory) : nil
    }

    /// Of the kernel.
    private static let takesArchives = Mutex<Bool?>(nil)

    /// fs-verity, where the filesystem has it: the kernel then refuses to write to the image, and to read what the disk has changed.
    func protect(_ directory: FilePath) throws {
        let file = try Syscall.open(Self.image(in: directory), [.readOnly, .noFollow])
        defer { file.close() }
        do throws(Errno) {
            try enableVerity(file.fd)
        } catch {
            // It is there already, or a child that is just being started still has the descriptor that the image was written to.
            let isHarmless = [EEXIST, ETXTBSY].contains { error == Errno(rawValue: $0) }
            guard isHarmless || Self.isWithoutVerity(error) else { throw error }
        }
    }

    /// `EINVAL`: it has fs-verity, but not with blocks of 4096 bytes, as on pages of 64 KiB before Linux 6.3.
    private static func isWithoutVerity(_ error: Errno) -> Bool {
        [ENOTTY, EOPNOTSUPP, EINVAL].contains { error == Errno(rawValue: $0) }
    }

    /// Whether images in `directory` get fs-verity.
    func hasVerity(in directory: FilePath) throws -> Bool {
        let path = directory.appending("probe-\(Identifier.random().prefix(16))")
        try Syscall.open(path, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600).close()
        defer { try? Syscall.unlinkat(path) }
        let file = try Syscall.open(path, [.readOnly, .noFollow])
        defer { file.close() }
        do throws(Errno) {
            try enableVerity(file.fd)
            return true
        } catch {
            guard Self.isWithoutVerity(error) else { throw error }
            return false
        }
    }

    static func mount(_ image: FilePath, at target: FilePath) throws(Errno) {
        let mount = try prepare(image)
        defer { mount.close() }
        try Syscall.moveMount(mount.fd, to: target)
    }

    /// The image's filesystem, mounted nowhere.
    static func prepare(_ image: FilePath) throws(Errno) -> OwnedDescriptor {
        do throws(Errno) {
            return try prepare(source: image)
        } catch {
            // Before Linux 6.12, or without EROFS_FS_BACKED_BY_FILE, it wants a block device.
            guard error == Errno(rawValue: ENOTBLK) else { throw error }
            let file = try Syscall.open(image, [.readOnly])
            defer { file.close() }
            let loop = try Syscall.attachLoopDevice(file.fd)
            defer { loop.device.close() }
            return try prepare(source: loop.path)
        }
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
