internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec

/// What a specification takes from its host.
struct SpecHost: Sendable {
    var hasUnifiedCgroups = false
    /// Beside v1 hierarchies cgroup2's controllers are not handed down to containers: its hugetlb limits none then.
    var limitsHugepages = false
    /// A limit of memory and swap together is one that the kernel knows.
    var accountsSwap = false
    /// Names `CAP_...`, in the kernel's order: what this kernel has and this daemon may give.
    var capabilities: [String] = []
    var defaultCapabilities: [String] = []
    var maskedPaths: [String] = []
    var readonlyPaths: [String] = []
    var hasRecursiveReadonlyMounts = false
    /// Pods may have user namespaces of their own: overlayfs takes idmapped layers since Linux 5.19.
    var hasUserNamespaces = false

    init() {}

    init(_ facts: HostFacts) {
        hasUnifiedCgroups = facts.cgroups.layout == .unified
        limitsHugepages = facts.cgroups.hierarchy(of: "hugetlb").map { $0.isUnified == hasUnifiedCgroups } ?? false
        accountsSwap =
            facts.cgroups.hierarchy(of: "memory").map {
                // On cgroup2 the root has no such file: there the limit is written where its file is.
                $0.isUnified || Files.exists($0.mountpoint.appending("memory.memsw.limit_in_bytes"))
            } ?? false
        capabilities = Capability.allCases.filter { facts.capabilities & $0.bit != 0 }.map(\.name)
        defaultCapabilities = DefaultProfile.capabilities
        maskedPaths = DefaultProfile.maskedPaths
        readonlyPaths = DefaultProfile.readonlyPaths
        // mount_setattr(2) came with Linux 5.12.
        hasRecursiveReadonlyMounts = KernelRelease.isAtLeast(5, 12)
        let limit = (try? Files.readText("/proc/sys/user/max_user_namespaces")).flatMap { Int($0) } ?? 0
        hasUserNamespaces = KernelRelease.isAtLeast(5, 19) && limit > 0
    }
}

/// A device node to be made in a container.
struct HostDevice: Sendable, Equatable {
    /// In the container.
    var path: String
    /// `c` or `b`.
    var kind: String
    var major: Int64
    var minor: Int64
    /// Permission bits.
    var mode: UInt32
    var uid: UInt32
    var gid: UInt32
    /// Of `rwm`.
    var access: String
}
