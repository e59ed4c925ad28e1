internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// A bundle with busybox, a state directory, and a name that is in everything which a test makes.
final class RuntimeScene: Sendable {
    let scratch: ScratchDirectory
    let mark: String
    let runtime: ContainerRuntime
    let bundle: FilePath

    static var isPossible: Bool {
        Syscall.effectiveUserID == 0 && Files.exists(launcher) && Files.exists("/bin/busybox")
    }

    private static var launcher: FilePath {
        FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .removingLastComponent().pushing("bin/berth-launch")
    }

    static let ownLauncher = Launcher(executable: launcher)

    init() throws {
        scratch = try ScratchDirectory("runtime")
        mark = try #require(scratch.path.lastComponent).string
        runtime = ContainerRuntime(root: scratch.appending("state"), launcher: Self.ownLauncher)
        bundle = scratch.appending("bundle")
        for directory in ["bin", "etc", "tmp", "proc"] { _ = try scratch.directory("bundle/rootfs/\(directory)") }
        let program = bundle.pushing("rootfs/bin/busybox")
        try Files.writeAtomically(program, try Files.read("/bin/busybox", limit: 8 << 20), mode: 0o755)
        for name in [
            "sh", "cat", "id", "sleep", "mount", "ls", "env", "stat", "touch", "hostname", "grep", "true", "dd", "tty",
        ] {
            try Syscall.symlinkat(target: "busybox", bundle.pushing(FilePath("rootfs/bin/\(name)")))
        }
        try Files.makeDirectories(scratch.appending("state"))
    }

    deinit {
        for container in (try? runtime.containers()) ?? [] { try? runtime.delete(container, force: true) }
        let cgroup = try? Cgroup(host: CgroupHost.detect(), path: "/\(mark)")
        try? cgroup?.kill()
        try? cgroup?.delete()
    }

    /// A container whose shell writes to /out, which is a file of the scene.
    func specification(_ script: String) throws -> RuntimeSpec {
        var spec = RuntimeSpec()
        spec.ociVersion = "1.2.0"
        spec.root = .init(path: "rootfs")
        var process = RuntimeSpec.Process()
        process.args = ["/bin/sh", "-c", "{ \(script)\n} >/out 2>&1"]
        process.env = ["PATH=/bin"]
        process.capabilities = DefaultProfile.capabilitySets()
        spec.process = process
        spec.hostname = "scene"
        spec.mounts = DefaultProfile.mounts.filter { $0.destination != "/sys/fs/cgroup" }
        try scratch.file("bundle/out", "", mode: 0o666)
        spec.mounts?.append(.init(destination: "/out", type: "bind", source: "out", options: ["bind"]))
        var linux = RuntimeSpec.Linux()
        linux.namespaces = ["mount", "pid", "ipc", "uts", "network", "cgroup"].map { .init(type: $0) }
        linux.cgroupsPath = "/\(mark)/box"
        linux.maskedPaths = DefaultProfile.maskedPaths
        linux.readonlyPaths = DefaultProfile.readonlyPaths
        spec.linux = linux
        return spec
    }

    func write(_ spec: RuntimeSpec) throws {
        try Files.writeAtomically(bundle.appending("config.json"), try StrictJSON.encode(spec))
    }

    var output: String {
        (try? Files.readText(bundle.appending("out"))) ?? ""
    }

    func snapshot() throws -> HostSnapshot {
        try HostSnapshot(of: scratch.path, mark: mark)
    }

    /// Runs a container to its end.
    func run(_ spec: RuntimeSpec, id: String = "box") throws -> LinuxKernel.ExitStatus {
        try write(spec)
        let (container, process) = try runtime.create(id: id, bundle: bundle, waiting: false, options: RunOptions())
        let status = try wait(process)
        try runtime.delete(container, force: true)
        return status
    }

    func wait(_ process: LaunchedProcess) throws -> LinuxKernel.ExitStatus {
        let pidfd = try Syscall.pidfdOpen(process.pid)
        let events = try Syscall.poll([(pidfd.fd, events: 1)], timeout: 20_000)
        try #require(events[0] != 0, "the container did not end")
        return try #require(try Syscall.wait(pidfd: pidfd.fd))
    }
}
