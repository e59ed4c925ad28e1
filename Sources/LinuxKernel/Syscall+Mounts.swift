internal import CKernel
public import SystemPackage

/// `MS_*` flags of mount(2).
public struct MountFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let readOnly = MountFlags(rawValue: 1)
    public static let noSUID = MountFlags(rawValue: 2)
    public static let noDevices = MountFlags(rawValue: 4)
    public static let noExec = MountFlags(rawValue: 8)
    public static let synchronous = MountFlags(rawValue: 16)
    public static let remount = MountFlags(rawValue: 32)
    public static let mandatoryLocks = MountFlags(rawValue: 64)
    public static let directorySync = MountFlags(rawValue: 128)
    public static let noSymlinkFollow = MountFlags(rawValue: 256)
    public static let noAccessTime = MountFlags(rawValue: 1024)
    public static let noDirectoryAccessTime = MountFlags(rawValue: 2048)
    public static let bind = MountFlags(rawValue: 4096)
    public static let move = MountFlags(rawValue: 8192)
    public static let recursive = MountFlags(rawValue: 16384)
    public static let silent = MountFlags(rawValue: 32768)
    public static let posixACL = MountFlags(rawValue: 1 << 16)
    public static let unbindable = MountFlags(rawValue: 1 << 17)
    public static let `private` = MountFlags(rawValue: 1 << 18)
    public static let slave = MountFlags(rawValue: 1 << 19)
    public static let shared = MountFlags(rawValue: 1 << 20)
    public static let relativeAccessTime = MountFlags(rawValue: 1 << 21)
    public static let inodeVersion = MountFlags(rawValue: 1 << 23)
    public static let strictAccessTime = MountFlags(rawValue: 1 << 24)
    public static let lazyTime = MountFlags(rawValue: 1 << 25)
}

/// `MOUNT_ATTR_*` of mount_setattr(2).
public struct MountAttributes: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let readOnly = MountAttributes(rawValue: 0x01)
    public static let noSUID = MountAttributes(rawValue: 0x02)
    public static let noDevices = MountAttributes(rawValue: 0x04)
    public static let noExec = MountAttributes(rawValue: 0x08)
    /// The field of the access time settings; a setting in it is changed only if the whole field is cleared.
    public static let accessTimeField = MountAttributes(rawValue: 0x70)
    public static let noAccessTime = MountAttributes(rawValue: 0x10)
    public static let strictAccessTime = MountAttributes(rawValue: 0x20)
    public static let noDirectoryAccessTime = MountAttributes(rawValue: 0x80)
    public static let idMapped = MountAttributes(rawValue: 0x100000)
    public static let noSymlinkFollow = MountAttributes(rawValue: 0x200000)
}

extension Syscall {
    public static func mount(
        source: String?, target: FilePath, type: String?, flags: MountFlags, data: String? = nil
    ) throws(Errno) {
        try check(
            target.withPlatformString { target in
                withOptional(source) { source in
                    withOptional(type) { type in
                        withOptional(data) { berth_mount(source, target, type, flags.rawValue, $0) }
                    }
                }
            })
    }

    public struct UnmountFlags: OptionSet, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }
        public static let force = UnmountFlags(rawValue: 1)
        public static let detach = UnmountFlags(rawValue: 2)
        public static let expire = UnmountFlags(rawValue: 4)
        public static let noFollow = UnmountFlags(rawValue: 8)
    }

    public static func umount2(_ target: FilePath, _ flags: UnmountFlags = []) throws(Errno) {
        try check(target.withPlatformString { berth_umount2($0, flags.rawValue) })
    }

    /// pivot_root(2) of the calling thread's mount namespace.
    public static func pivotRoot(_ root: FilePath, old: FilePath) throws(Errno) {
        try check(
            root.withPlatformString { root in old.withPlatformString { berth_pivot_root(root, $0) } })
    }

    /// open_tree(2), close-on-exec. With `clone` the result is a detached copy of the mount.
    public static func openTree(
        _ path: FilePath, in directory: FileDescriptor = currentDirectory, clone: Bool, recursive: Bool = false
    ) throws(Errno) -> OwnedDescriptor {
        // OPEN_TREE_CLONE 1, OPEN_TREE_CLOEXEC O_CLOEXEC, AT_RECURSIVE 0x8000, AT_EMPTY_PATH 0x1000.
        var flags = UInt32(bitPattern: OpenFlags.closeOnExec.rawValue)
        if clone { flags |= 1 }
        if recursive { flags |= 0x8000 }
        if path.isEmpty { flags |= 0x1000 }
        return try descriptor(path.withPlatformString { berth_open_tree(directory.rawValue, $0, flags) })
    }

    /// move_mount(2) of the mount that `tree` holds onto `path`; onto `directory` itself where `path` is empty.
    public static func moveMount(
        _ tree: FileDescriptor, to path: FilePath, in directory: FileDescriptor = currentDirectory
    ) throws(Errno) {
        // MOVE_MOUNT_F_EMPTY_PATH 4, MOVE_MOUNT_T_EMPTY_PATH 0x40.
        let flags: UInt32 = path.isEmpty ? 0x44 : 0x4
        try check(path.withPlatformString { berth_move_mount(tree.rawValue, "", directory.rawValue, $0, flags) })
    }

    /// mount_setattr(2).
    ///
    /// - Parameter userNamespace: of an idmapped mount (`MountAttributes.idMapped` in `set`).
    public static func mountSetattr(
        _ directory: FileDescriptor, _ path: FilePath = "", set: MountAttributes, clear: MountAttributes = [],
        propagation: MountFlags = [], recursive: Bool = false, userNamespace: FileDescriptor? = nil
    ) throws(Errno) {
        let flags: UInt32 = (path.isEmpty ? 0x1000 : 0) | (recursive ? 0x8000 : 0)
        try check(
            path.withPlatformString {
                berth_mount_setattr(
                    directory.rawValue, $0, flags, set.rawValue, clear.rawValue, propagation.rawValue,
                    userNamespace?.rawValue ?? -1)
            })
    }

    public static func fsopen(_ type: String) throws(Errno) -> OwnedDescriptor {
        try descriptor(berth_fsopen(type, 1))
    }

    /// Commands of fsconfig(2).
    public enum FilesystemSetting: Sendable {
        case flag(String)
        case string(String, String)
        case descriptor(String, FileDescriptor)
        case create
        case reconfigure
    }

    public static func fsconfig(_ context: FileDescriptor, _ setting: FilesystemSetting) throws(Errno) {
        let fd = context.rawValue
        switch setting {
        case .flag(let key): try check(berth_fsconfig(fd, 0, key, nil, 0))
        case .string(let key, let value): try check(berth_fsconfig(fd, 1, key, value, 0))
        case .descriptor(let key, let value): try check(berth_fsconfig(fd, 5, key, nil, value.rawValue))
        case .create: try check(berth_fsconfig(fd, 6, nil, nil, 0))
        case .reconfigure: try check(berth_fsconfig(fd, 7, nil, nil, 0))
        }
    }

    public static func fsmount(
        _ context: FileDescriptor, attributes: MountAttributes = []
    ) throws(Errno) -> OwnedDescriptor {
        try descriptor(berth_fsmount(context.rawValue, 1, UInt32(truncatingIfNeeded: attributes.rawValue)))
    }

    private static func withOptional<Result>(
        _ text: String?, _ body: (UnsafePointer<CChar>?) -> Result
    ) -> Result {
        guard let text else { return body(nil) }
        return text.withCString { body($0) }
    }
}

extension Syscall {
    /// Makes a file immutable, each block of which the kernel compares with its hash as it reads it (fs-verity,
    /// Documentation/filesystems/fsverity.rst).
    ///
    /// - Parameter file: open for reading, and no other descriptor for writing.
    /// - Throws: `ENOTTY` or `EOPNOTSUPP` where the filesystem does not have it; `EEXIST` if it is so already.
    public static func enableVerity(_ file: FileDescriptor) throws(Errno) {
        try check(berth_enable_verity(file.rawValue))
    }

    /// Attaches a file, opened for reading, to a free loop device, read-only (loop(4)).
    ///
    /// - Returns: the device's path, and a descriptor that keeps it until it is mounted; it goes with its last user.
    public static func attachLoopDevice(_ backing: FileDescriptor) throws(Errno) -> (
        path: FilePath, device: OwnedDescriptor
    ) {
        var number: Int32 = 0
        let device = try descriptor(berth_loop_attach(backing.rawValue, &number))
        return (FilePath("/dev/loop\(number)"), device)
    }
}
