internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

/// Specifications and hosts that tests compile plans of.
enum Hosts {
    static let hybrid = HostFacts(
        cgroups: CgroupHost(
            layout: .hybrid,
            hierarchies: [
                .init(mountpoint: "/sys/fs/cgroup/cpu,cpuacct", controllers: ["cpu", "cpuacct"], isUnified: false),
                .init(mountpoint: "/sys/fs/cgroup/cpuset", controllers: ["cpuset"], isUnified: false),
                .init(
                    mountpoint: "/sys/fs/cgroup/memory", controllers: ["memory"], isUnified: false, ownPath: "/shell"),
                .init(mountpoint: "/sys/fs/cgroup/devices", controllers: ["devices"], isUnified: false),
                .init(mountpoint: "/sys/fs/cgroup/blkio", controllers: ["blkio"], isUnified: false),
                .init(mountpoint: "/sys/fs/cgroup/pids", controllers: ["pids"], isUnified: false),
                .init(mountpoint: "/sys/fs/cgroup/systemd", controllers: ["name=systemd"], isUnified: false),
                .init(mountpoint: "/sys/fs/cgroup/unified", controllers: [], isUnified: true),
            ]), cpuset: ("0-1", "0"))

    static let unified = HostFacts(
        cgroups: CgroupHost(
            layout: .unified,
            hierarchies: [
                .init(
                    mountpoint: "/sys/fs/cgroup", controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"],
                    isUnified: true, ownPath: "/init.scope")
            ]))
}

enum Specifications {
    /// As small as a container can be.
    static func small(_ arguments: [String] = ["/bin/true"]) -> RuntimeSpec {
        var spec = RuntimeSpec()
        spec.ociVersion = "1.2.0"
        spec.root = .init(path: "rootfs")
        var process = RuntimeSpec.Process()
        process.args = arguments
        process.env = ["PATH=/bin"]
        spec.process = process
        spec.mounts = [.init(destination: "/proc", type: "proc", source: "proc")]
        var linux = RuntimeSpec.Linux()
        linux.namespaces = ["mount", "pid", "ipc", "uts", "network"].map { .init(type: $0) }
        linux.cgroupsPath = "/berth-plans/box"
        spec.linux = linux
        return spec
    }

    static func options(_ change: (inout CompileOptions) -> Void = { _ in }) -> CompileOptions {
        var options = CompileOptions(id: "box", bundle: "/bundle")
        // Three instructions, so that no golden plan depends on the version of libseccomp.
        options.compileSeccomp = { _ in [UInt8](repeating: 0, count: 24) }
        change(&options)
        return options
    }
}
