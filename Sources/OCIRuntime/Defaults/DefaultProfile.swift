public import OCISpec

/// What a container gets that asks for nothing: the defaults that Docker and containerd agree on.
public enum DefaultProfile {
    public static let capabilities = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ]

    public static let maskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]

    public static let readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    public static let mounts: [RuntimeSpec.Mount] = [
        .init(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
        .init(
            destination: "/dev", type: "tmpfs", source: "tmpfs",
            options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        .init(
            destination: "/dev/pts", type: "devpts", source: "devpts",
            options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        .init(
            destination: "/dev/shm", type: "tmpfs", source: "shm",
            options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        .init(
            destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
        .init(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
        .init(
            destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
            options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]

    /// All devices refused, then what `deviceRules(adding:)` names.
    public static let deviceRules: [RuntimeSpec.Linux.Resources.DeviceRule] = [.init(allow: false, access: "rwm")]

    /// `names` in every set but the inheritable and ambient ones, which are empty (CVE-2022-24769).
    public static func capabilitySets(_ names: [String] = capabilities) -> RuntimeSpec.Process.Capabilities {
        var sets = RuntimeSpec.Process.Capabilities()
        sets.bounding = names
        sets.effective = names
        sets.permitted = names
        return sets
    }

    /// What `spec` writes: a shell in a terminal, with few capabilities and a read-only root, as runc's.
    public static func specification(rootless: Bool = false, unifiedCgroups: Bool = true) -> RuntimeSpec {
        var spec = RuntimeSpec()
        spec.ociVersion = "1.2.0"
        var process = RuntimeSpec.Process()
        process.terminal = true
        process.args = ["sh"]
        process.env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]
        process.capabilities = capabilitySets(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"])
        process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)]
        process.noNewPrivileges = true
        spec.process = process
        spec.root = .init(path: "rootfs", readonly: true)
        spec.hostname = "berth"
        spec.mounts = mounts.map { mount in
            var mount = mount
            if mount.destination == "/proc" { mount.options = nil }
            return mount
        }
        var linux = RuntimeSpec.Linux()
        var resources = RuntimeSpec.Linux.Resources()
        resources.devices = deviceRules
        linux.resources = resources
        linux.namespaces = ["pid", "network", "ipc", "uts", "mount"].map { .init(type: $0) }
        // As runc: v1's tools inside do not know such a namespace.
        if unifiedCgroups { linux.namespaces?.append(.init(type: "cgroup")) }
        linux.maskedPaths = maskedPaths
        linux.readonlyPaths = readonlyPaths
        spec.linux = linux
        if rootless { makeRootless(&spec) }
        return spec
    }

    private static func makeRootless(_ spec: inout RuntimeSpec) {
        spec.linux?.namespaces?.removeAll { $0.type == "network" }
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.resources = nil
        spec.mounts = spec.mounts?.map { mount in
            var mount = mount
            switch mount.destination {
            case "/sys":
                // A user namespace that shares the host's network may not mount sysfs.
                return .init(
                    destination: "/sys", type: "none", source: "/sys",
                    options: ["rbind", "nosuid", "noexec", "nodev", "ro"])
            default:
                mount.options = mount.options?.filter { !$0.hasPrefix("gid=") }
                return mount
            }
        }
    }
}
