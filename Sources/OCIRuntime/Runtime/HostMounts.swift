internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Mounts of a container without a mount namespace: they are the host's, and outlive its process.
struct HostMounts {
    private let rootfs: FilePath?

    init(_ spec: RuntimeSpec, _ rootfs: String) {
        self.rootfs = spec.namespace("mount") == nil && rootfs != "/" && !rootfs.isEmpty ? FilePath(rootfs) : nil
    }

    /// Detaches every mount below the root; what cannot be is left.
    func remove() {
        guard let rootfs, let entries = try? MountTable.read() else { return }
        for mount in MountTable.below(rootfs, in: entries) where FilePath(mount.target) != rootfs {
            try? Syscall.umount2(FilePath(mount.target), [.detach, .noFollow])
        }
    }
}
