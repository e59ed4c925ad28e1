internal import Core
internal import Glibc
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Guards between a container and the host: each of these fails when its guard is taken out.
@Suite(.enabled(if: RuntimeScene.isPossible, "needs root, busybox-static and bin/berth-launch"))
struct SafetyRootTests {
    private func created(_ scene: RuntimeScene, _ spec: RuntimeSpec) throws -> (KnownContainer, LaunchedProcess) {
        try scene.write(spec)
        return try scene.runtime.create(id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
    }

    /// CVE-2019-5736: what a container finds at /proc/PID/exe is a copy in memory that nobody can write.
    @Test func theLauncherRunsFromASealedCopy() throws {
        let scene = try RuntimeScene()
        let (container, process) = try created(scene, scene.specification("true"))
        let path = "/proc/\(process.pid)/exe"
        var link = [UInt8](repeating: 0, count: 4096)
        let length = link.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
        let target = String(decoding: link.prefix(max(0, length)), as: UTF8.self)
        #expect(target.hasPrefix("/memfd:"), "\(target)")
        let image = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(image) }
        // F_GET_SEALS: F_SEAL_SEAL, _SHRINK, _GROW and _WRITE.
        #expect(fcntl(image, 1034) & 15 == 15)
        try scene.runtime.delete(container, force: true)
    }

    /// Nothing of the host is open in a process that waits for its start.
    @Test func aCreatedContainerHoldsNothingOfTheHost() throws {
        let scene = try RuntimeScene()
        let spec = try scene.specification("true")
        let (container, process) = try created(scene, spec)
        let folder = FilePath("/proc/\(process.pid)/fd")
        for name in try Files.list(folder) {
            var link = [UInt8](repeating: 0, count: 4096)
            let path = folder.appending(name).string
            let length = link.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
            let target = String(decoding: link.prefix(max(0, length)), as: UTF8.self)
            #expect(!target.contains("/sys/fs/cgroup"), "\(name): \(target)")
            #expect(!target.hasPrefix("/proc/"), "\(name): \(target)")
            #expect(!target.contains("memfd"), "\(name): \(target)")
        }
        try scene.runtime.delete(container, force: true)
    }

    /// CVE-2022-24769: capabilities that programs with file capabilities would inherit.
    @Test func nothingIsInheritableByDefault() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("grep -E 'CapInh|CapAmb' /proc/self/status")
        spec.process?.capabilities = DefaultProfile.specification().process?.capabilities
        #expect(try scene.run(spec) == .exited(0))
        #expect(scene.output == "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000")
    }

    /// CVE-2024-21626: a working directory by a descriptor that leaked leads to the host's files.
    @Test func aWorkingDirectoryOutsideOfTheRootIsRefused() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("pwd")
        for number in 3..<12 {
            spec.process?.cwd = "/proc/self/fd/\(number)"
            #expect(throws: BerthError.self) { try scene.run(spec) }
        }
    }

    /// Also where a filter keeps the check from the call that it takes.
    @Test func aWorkingDirectoryIsCheckedUnderAFilterToo() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("ls /proc/self/cwd/")
        spec.linux?.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
        spec.linux?.seccomp?.syscalls = [.init(names: ["getcwd"], action: "SCMP_ACT_ERRNO")]
        spec.process?.cwd = "/bin"
        #expect(try scene.run(spec) == .exited(0))
        #expect(scene.output.contains("busybox"))
        for number in 3..<12 {
            spec.process?.cwd = "/proc/self/fd/\(number)"
            #expect(throws: BerthError.self) { try scene.run(spec) }
        }
    }

    /// CVE-2025-31133, CVE-2025-52565: a /dev/null or /dev/console of the image that leads into procfs.
    @Test func linksInPlaceOfDevicesMaskAndBindNothingElse() throws {
        let scene = try RuntimeScene()
        _ = try scene.scratch.directory("bundle/rootfs/dev")
        let rootfs = scene.bundle.appending("rootfs")
        try Syscall.symlinkat(target: "/proc/sys/kernel/core_pattern", rootfs.pushing("dev/null"))
        try Syscall.symlinkat(target: "/proc/sys/kernel/core_pattern", rootfs.pushing("dev/console"))
        var spec = try scene.specification("cat /proc/keys | wc -c; grep core_pattern /proc/self/mountinfo")
        spec.mounts = spec.mounts?.filter { !$0.destination.hasPrefix("/dev") }
        spec.mounts?.append(.init(destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"]))
        let pattern = try Files.readText("/proc/sys/kernel/core_pattern")
        // Either it is refused, or the mask is the null device and procfs is untouched.
        if let status = try? scene.run(spec) {
            #expect(status == .exited(1))
            #expect(scene.output == "0")
        }
        spec.process?.terminal = true
        _ = try? scene.run(spec)
        #expect(!scene.output.contains("core_pattern"))
        #expect(try Files.readText("/proc/sys/kernel/core_pattern") == pattern)
    }

    /// In a user namespace of its own a container could mount a procfs without masks, if a bare one of the host's were left.
    @Test func noBareProcfsIsLeftWithoutPivot() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification(
            "busybox unshare -mrpf busybox sh -c 'busybox mount -t proc none /proc' && echo mounted || echo refused")
        spec.process?.capabilities = DefaultProfile.capabilitySets(["CAP_SETFCAP", "CAP_SETUID", "CAP_SETGID"])
        var options = RunOptions()
        options.noPivot = true
        try scene.write(spec)
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: false, options: options)
        _ = try scene.wait(process)
        #expect(scene.output.hasSuffix("refused"), "\(scene.output)")
        try scene.runtime.delete(container, force: true)
    }

    /// The ids are mapped before the child becomes root of its namespace, and its groups are its own.
    @Test func groupsOfTheCallerDoNotComeAlong() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("grep -E '^(Uid|Gid|Groups)' /proc/self/status")
        for path in [
            scene.scratch.path, scene.bundle, scene.bundle.appending("rootfs"), scene.bundle.pushing("rootfs/bin"),
        ] {
            try Syscall.fchmodat(path, mode: 0o755)
        }
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.uidMappings = [.init(containerID: 0, hostID: 0, size: 100)]
        spec.linux?.gidMappings = [.init(containerID: 0, hostID: 0, size: 100)]
        spec.process?.user = .init(uid: 5, gid: 6, additionalGids: [7])
        #expect(try scene.run(spec) == .exited(0))
        let lines = scene.output.split(separator: "\n").map { $0.filter { $0 != " " } }
        #expect(lines == ["Uid:\t5\t5\t5\t5", "Gid:\t6\t6\t6\t6", "Groups:\t7"])
    }

    /// Until its exec a process in the container is not the container's: its memory, descriptors and image are the launcher's,
    /// also where the container has the same user namespace (CVE-2016-9962).
    @Test func aProcessThatIsSetUpCannotBeLookedInto() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("sleep 100")
        for path in [scene.scratch.path, scene.bundle] { try Syscall.fchmodat(path, mode: 0o755) }
        try Syscall.symlinkat(target: "busybox", scene.bundle.pushing("rootfs/bin/readlink"))
        try Syscall.fchownat(scene.bundle.appending("rootfs"), uid: 100_000, gid: 100_000)
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 100)]
        spec.linux?.gidMappings = [.init(containerID: 0, hostID: 100_000, size: 100)]
        // Everything that root of a user namespace may have.
        spec.process?.capabilities = DefaultProfile.capabilitySets(Capability.allCases.map(\.name))
        let (container, first) = try created(scene, spec)
        func look(_ target: String) throws -> LinuxKernel.ExitStatus {
            let process = try scene.runtime.exec(container, ignorePaused: false, options: RunOptions()) {
                var process = $0
                process.args = ["/bin/sh", "-c", "\(target) >/dev/null 2>&1"]
                return process
            }
            return try scene.wait(process)
        }
        let attempts = ["readlink /proc/1/exe", "ls /proc/1/fd", "cat /proc/1/maps", "readlink /proc/1/root"]
        for attempt in attempts { #expect(try look(attempt) == .exited(1), "\(attempt)") }
        try scene.runtime.start(container)
        // What it runs now is its own.
        for attempt in attempts { #expect(try look(attempt) == .exited(0), "\(attempt)") }
        try scene.runtime.delete(container, force: true)
        _ = try scene.wait(first)
    }

    /// What a mount of the host says of access times, a user namespace may keep and not change.
    @Test(arguments: [("noatime", [], true), ("noatime", ["strictatime"], false), ("nodiratime", ["noatime"], false)])
    func accessTimesOfABindInAUserNamespaceAreTheHosts(
        _ given: String, _ wanted: [String], _ isTaken: Bool
    ) throws {
        let scene = try RuntimeScene()
        let source = try scene.scratch.directory("source")
        try Syscall.mount(
            source: "tmpfs", target: source, type: "tmpfs",
            flags: given == "noatime" ? .noAccessTime : .noDirectoryAccessTime)
        var spec = try scene.specification("true")
        spec.linux?.namespaces?.append(.init(type: "user"))
        spec.linux?.uidMappings = [.init(containerID: 0, hostID: 0, size: 100)]
        spec.linux?.gidMappings = [.init(containerID: 0, hostID: 0, size: 100)]
        spec.mounts?.append(
            .init(destination: "/mnt", type: "bind", source: source.string, options: ["bind"] + wanted))
        if isTaken {
            #expect(try scene.run(spec) == .exited(0))
        } else {
            let error = #expect(throws: BerthError.self) { try scene.run(spec) }
            #expect(error?.description.contains("cannot be undone in a user namespace") == true, "\(error as Any)")
        }
    }
}
