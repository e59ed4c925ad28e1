internal import Core
internal import LinuxKernel
public import SystemPackage

/// A mount namespace with the host's /proc, /sys and /dev and nothing else, for those of containers to begin as copies of.
///
/// A copy of the host's takes time for each mount that the host has, three or four of which are each pod's, and has all of
/// them until the container's root is entered. This one lives as long as the object; on the host nothing of it is seen.
public final class BaseMounts: Sendable {
    private let namespace: OwnedDescriptor

    /// The namespace's file, for plans that are carried out while this object lives.
    public var path: FilePath { FilePath("/proc/\(Syscall.processID)/fd/\(namespace.rawValue)") }

    /// - Parameter folder: any directory; it stays as it is.
    /// - Throws: `Errno`, of mount(2) and pivot_root(2): whoever may not mount has none.
    public init(over folder: FilePath) async throws {
        namespace = try await BlockingWork.run { try Self.make(over: folder) }
    }

    /// On a thread that ends with it: it stays in the namespace.
    private static func make(over folder: FilePath) throws -> OwnedDescriptor {
        try Syscall.unshare(.mount)
        try Syscall.mount(source: nil, target: "/", type: nil, flags: [.private, .recursive])
        try Syscall.mount(
            source: "tmpfs", target: folder, type: "tmpfs", flags: [.noSUID, .noDevices, .noExec],
            data: "mode=0555,size=64k")
        // In a user namespace a procfs or a sysfs can be mounted only where there is one already that hides nothing.
        for (name, flags) in [("proc", MountFlags.bind), ("sys", .bind), ("dev", [.bind, .recursive])] {
            try Files.makeDirectories(folder.appending(name), mode: 0o555)
            try Syscall.mount(source: "/\(name)", target: folder.appending(name), type: nil, flags: flags)
        }
        // The old root lies over /proc for a moment.
        try Syscall.pivotRoot(folder, old: folder.appending("proc"))
        try Syscall.umount2("/proc", .detach)
        return try Syscall.open("/proc/thread-self/ns/mnt", [.readOnly, .closeOnExec])
    }
}
