@testable internal import LinuxKernel
internal import Glibc
internal import SystemPackage
internal import TestSupport
internal import Testing

@Suite struct MountTableTests {
    @Test func escapesAndOptionalFieldsAreRead() throws {
        let text = """
            36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/ro\\134ot rw,errors=continue
            37 35 0:21 / /proc rw - proc proc rw
            garbage
            """
        let entries = MountTable.parse(text)
        #expect(entries.count == 2)
        #expect(entries[0].target == "/mnt 2")
        #expect(entries[0].source == "/dev/ro\\ot")
        #expect(entries[0].propagation == ["master:1", "shared:7"])
        #expect(entries[1].type == "proc")
        #expect(entries[1].propagation == [])
    }

    @Test func thisHostHasARoot() throws {
        #expect(try MountTable.read().contains { $0.target == "/" })
    }
}

@Suite struct ProcessStatusTests {
    @Test func signalsThatAreIgnoredAreExpected() {
        // SIGPIPE of a test's own process is ignored nowhere else.
        signal(SIGPIPE, SIG_IGN)
        #expect(ProcessStatus.expects(signal: SIGPIPE, Syscall.processID))
        #expect(!ProcessStatus.expects(signal: SIGKILL, Syscall.processID))
        #expect(!ProcessStatus.expects(signal: 0, Syscall.processID))
        #expect(!ProcessStatus.expects(signal: SIGTERM, 0x3fff_ffff))
    }

    @Test func aCommandMayHoldParenthesesAndSpaces() throws {
        let status = try #require(
            ProcessStatus.parse(
                "12 (a) R (b c)) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0 18446744073709551615"))
        #expect(status.command == "a) R (b c)")
        #expect(status.parent == 1)
        #expect(status.startTime == 4242)
        #expect(status.isAlive)
    }

    @Test func aRecycledPIDIsAnotherProcess() throws {
        let own = try #require(ProcessStatus.read(Syscall.processID))
        #expect(ProcessStatus.isAlive(own.pid, startTime: own.startTime))
        #expect(!ProcessStatus.isAlive(own.pid, startTime: own.startTime + 1))
    }
}

@Suite struct CgroupHostTests {
    static let hybrid = """
        31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
        """
    static let own = "4:memory:/slice\n2:cpu,cpuacct:/\n9:name=systemd:/\n0::/top/leaf\n"

    @Test func hybridIsFoundWithItsControllers() {
        let host = CgroupHost.parse(mountInfo: Self.hybrid, ownCgroups: Self.own) { _ in [] }
        #expect(host.layout == .hybrid)
        #expect(host.hierarchy(of: "cpuacct")?.mountpoint == "/sys/fs/cgroup/cpu,cpuacct")
        #expect(host.hierarchy(of: "memory")?.ownPath == "/slice")
        #expect(host.hierarchy(of: "name=systemd") != nil)
        #expect(host.unified?.ownPath == "/top/leaf")
    }

    @Test func unifiedAndLegacyAreToldApart() {
        let unified = CgroupHost.parse(
            mountInfo: "26 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", ownCgroups: "0::/init.scope\n"
        ) { _ in ["cpu", "memory", "pids"] }
        #expect(unified.layout == .unified)
        #expect(unified.hierarchy(of: "pids")?.isUnified == true)
        let legacy = CgroupHost.parse(
            mountInfo: "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory", ownCgroups: "4:memory:/\n"
        ) { _ in [] }
        #expect(legacy.layout == .legacy)
    }

    /// Under pure v2 it does not look at the mounts.
    @Test func whatIsDetectedIsWhatTheMountsSay() throws {
        let host = try CgroupHost.detect()
        let table = CgroupHost.parse(
            mountInfo: try Files.readText("/proc/self/mountinfo", limit: 1 << 20),
            ownCgroups: try Files.readText("/proc/self/cgroup")
        ) { ((try? Files.readText($0.appending("cgroup.controllers"))) ?? "").split(separator: " ").map(String.init) }
        #expect(host.layout == table.layout)
        #expect(host.hierarchies == table.hierarchies)
    }

    @Test func relativePathsAreBelowTheOwnCgroupAndAbsoluteOnesBelowTheRoot() {
        let host = CgroupHost.parse(mountInfo: Self.hybrid, ownCgroups: Self.own) { _ in [] }
        let relative = Cgroup(host: host, path: "box")
        #expect(relative.directory(of: "memory")?.path == "/sys/fs/cgroup/memory/slice/box")
        // A v2 cgroup with processes cannot hand controllers to children: a sibling is made.
        #expect(relative.unifiedDirectory == "/sys/fs/cgroup/unified/top/box")
        let absolute = Cgroup(host: host, path: "/pods/box")
        #expect(absolute.directory(of: "memory")?.path == "/sys/fs/cgroup/memory/pods/box")
        #expect(absolute.unifiedDirectory == "/sys/fs/cgroup/unified/pods/box")
    }

    @Test func aPathCannotClimbOutOfTheHierarchy() {
        let host = CgroupHost.parse(mountInfo: Self.hybrid, ownCgroups: Self.own) { _ in [] }
        for path in ["/../../etc", "../../../etc"] {
            for directory in Cgroup(host: host, path: path).directories {
                #expect(directory.path.starts(with: directory.hierarchy.mountpoint))
            }
        }
    }

    @Test func aDelegatedRootIsTakenOffThePath() {
        let hierarchy = CgroupHierarchy(
            mountpoint: "/sys/fs/cgroup/memory", root: "/outer", controllers: ["memory"], isUnified: false,
            ownPath: "/outer/inner")
        #expect(hierarchy.directory(of: "/outer/inner/box") == "/sys/fs/cgroup/memory/inner/box")
        #expect(hierarchy.directory(of: "/box") == "/sys/fs/cgroup/memory/box")
    }
}

/// Makes cgroups of the real host: as root.
@Suite(.enabled(if: Syscall.effectiveUserID == 0)) struct CgroupRootTests {
    @Test func processesAreAddedCountedFrozenKilledAndTheCgroupGoes() async throws {
        let name = "/berth-test-\(UInt32.random(in: 0...UInt32.max))"
        let cgroup = Cgroup(host: try CgroupHost.detect(), path: "\(name)/inner")
        let parent = Cgroup(host: try CgroupHost.detect(), path: name)
        try cgroup.create()
        defer {
            try? parent.kill()
            try? parent.delete()
        }
        let child = try Spawn.spawn(
            executable: "/bin/sh", arguments: ["sh", "-c", "exec sleep 1000"], environment: ["PATH=/bin:/usr/bin"])
        try cgroup.add(pid: child.pid)
        #expect(try cgroup.pids().contains(child.pid))
        #expect(try parent.pids(recursive: true).contains(child.pid))
        try cgroup.freeze()
        #expect(cgroup.isFrozen)
        #expect(!parent.isFrozen)
        let statistics = try cgroup.statistics()
        #expect(statistics.pids >= 1)
        // A frozen cgroup is killed too.
        try cgroup.kill()
        if cgroup.isFrozen { try cgroup.thaw() }
        #expect(try await child.wait() == .signalled(9))
        try parent.delete()
        try parent.delete()
        #expect(!parent.exists)
        #expect(throws: Errno.noSuchFileOrDirectory) { try parent.statistics() }
    }

    @Test func aRefusedValueNamesItsFile() throws {
        let cgroup = Cgroup(
            host: try CgroupHost.detect(), path: "/berth-test-\(UInt32.random(in: 0...UInt32.max))")
        try cgroup.create()
        defer { try? cgroup.delete() }
        let failure = #expect(throws: CgroupFailure.self) {
            try cgroup.apply([CgroupWrite("pids", "pids.max", "many")])
        }
        #expect(failure?.file.hasSuffix("/pids.max") == true)
        #expect(failure?.error == .invalidArgument)
    }
}

@Suite struct NamespaceThreadTests {
    @Test(.enabled(if: Syscall.effectiveUserID == 0)) func aBodyRunsInTheOtherNamespaceAndThisThreadStays() async throws
    {
        let child = try Spawn.spawn(
            executable: "/usr/bin/unshare",
            arguments: ["unshare", "--uts", "sh", "-c", "hostname inside; exec sleep 1000"],
            environment: ["PATH=/bin:/usr/bin"])
        defer {
            try? child.signal(9)
            _ = try? child.waitBlocking()
        }
        let file = FilePath("/proc/\(child.pid)/ns/uts")
        let read: @Sendable () throws -> String = { try Files.readText("/proc/sys/kernel/hostname") }
        let own = try read()
        // Tests that block share the few threads of the pool.
        try await eventually("the other hostname", within: .seconds(60)) {
            let namespace = try Syscall.open(file, .readOnly)
            return try await NamespaceThread.run(in: namespace.fd, type: .uts, read) == "inside"
        }
        let namespace = try Syscall.open(file, .readOnly)
        #expect(try NamespaceThread.runBlocking(in: namespace.fd, type: .uts, read) == "inside")
        #expect(try read() == own)
    }
}
