internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Cgroups of containers that are not as a quiet create and delete leave them.
@Suite struct OCICgroupTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func existingEmptyCgroupIsJoined(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let cgroup = try Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark)/c")
            try cgroup.create()
            let output = try await fixture.output(
                of: ["/bin/cat", "/proc/self/cgroup"], ".linux.namespaces |= map(select(.type != \"cgroup\"))")
            #expect(output.code == 0, "\(output)")
            let places = Set(output.lines.map { $0.split(separator: ":", omittingEmptySubsequences: false)[2] })
            #expect(places == ["/\(fixture.mark)/c"])
            #expect(!cgroup.exists, "the runtime removes the cgroup of its container, whoever made it")
        }
    }

    @Test func cgroupWithAnothersProcessesIsRefused() async throws {
        try await OCIFixture.with(.berth) { fixture in
            let cgroup = try Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark)/c")
            try cgroup.create()
            let other = try Spawn.spawn(executable: "/bin/sleep", arguments: ["sleep", "1000"], environment: [])
            try cgroup.add(pid: other.pid)
            let output = try await fixture.output(of: ["/bin/true"])
            try other.signal(9)
            _ = try await other.wait()
            #expect(output.code == 1)
            #expect(output.standardError.contains("cgroup is not empty"), "\(output)")
            try cgroup.delete()
        }
    }

    /// The root of a user namespace makes cgroups below its own and moves into them; the limits stay the host's.
    @Test(
        .enabled(if: (try? CgroupHost.detect())?.layout == .unified, "v1 is not to be delegated"),
        arguments: [(true, "rw"), (false, "ro")])
    func writableCgroupIsThatOfTheContainersRoot(_ isWritable: Bool, _ option: String) async throws {
        try await OCIFixture.with(.berth) { fixture in
            let output = try await fixture.output(
                of: [
                    "/bin/sh", "-c",
                    """
                    cd /sys/fs/cgroup; stat -c %u . cgroup.procs cgroup.subtree_control memory.max
                    mkdir below && echo $$ > below/cgroup.procs && cat /proc/self/cgroup
                    """,
                ], OCIFixture.cgroupMount(option))
            let owner = isWritable ? "0" : "65534"
            let shown = [owner, owner, owner, "65534"] + (isWritable ? ["0::/below"] : [])
            #expect(output.lines.map(String.init) == shown, "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func deleteTakesDescendantsWithIt(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await start(fixture, ["/bin/sleep", "1000"])
            let cgroup = try Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark)/c")
            let deep = Cgroup(cgroup, child: "deeper/deepest")
            // As a container does that has a cgroup namespace of its own; on v2 the processes have to be in leaves.
            // On v2 without controllers: those that its parent, which has processes, would hand down make it a threaded one.
            for directory in deep.directories where directory.hierarchy.isUnified {
                try Files.makeDirectories(directory.path)
            }
            try Cgroup(layout: deep.layout, directories: deep.directories.filter { !$0.hierarchy.isUnified }).create()
            let pids = try cgroup.pids()
            for pid in pids {
                for directory in deep.directories {
                    try Files.writeKernelFile(directory.path.appending("cgroup.procs"), "\(pid)")
                }
            }
            #expect(try cgroup.pids(recursive: true) == pids)
            try await fixture.runtime.check("delete", "--force", "c1")
            #expect(!cgroup.exists)
            for pid in pids { #expect(!(ProcessStatus.read(pid)?.isAlive ?? false)) }
        }
    }

    @Test func killAllReachesEveryProcess() async throws {
        try await OCIFixture.with(.berth) { fixture in
            // The host's PID namespace: nothing ends by itself with the first process.
            try await start(
                fixture, ["/bin/sh", "-c", "trap : TERM; sleep 1000 & sleep 1000 & wait; wait; wait"],
                ".linux.namespaces |= map(select(.type != \"pid\"))")
            let cgroup = try Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark)/c")
            try await eventually("three processes") { try cgroup.pids().count == 3 }
            try await fixture.runtime.check("kill", "--all", "c1", "TERM")
            // The sleeps end, and the shell with its last wait.
            try await eventually("the processes to end") { try cgroup.pids().isEmpty }
            try await fixture.runtime.check("delete", "c1")
        }
    }

    @Test func deleteForceCleansUpAfterAKilledCreate() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(
                ["/bin/sleep", "1000"],
                """
                .hooks = {"createRuntime": [{"path": "/bin/sh",
                    "args": ["sh", "-c", "touch \(fixture.scratch.path)/hook; exec sleep 5"]}]}
                """)
            let create = try Spawn.spawn(
                executable: fixture.runtime.path,
                arguments: ["berth-oci"] + fixture.runtime.arguments + [
                    "create", "--bundle", fixture.bundle.string, "c1",
                ],
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            try await eventually("the hook") { Files.exists(fixture.scratch.appending("hook")) }
            try create.signal(9)
            _ = try await create.wait()

            let cgroup = try Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark)/c")
            let left = try cgroup.pids(recursive: true)
            #expect(left.count == 1, "the container's process is in its cgroup before a hook runs")
            #expect(try await fixture.runtime.run("state", "c1").code == 1)
            try await fixture.runtime.check("delete", "--force", "c1")
            #expect(!cgroup.exists)
            for pid in left { #expect(!(ProcessStatus.read(pid)?.isAlive ?? false)) }
            #expect(!Files.exists(fixture.scratch.appending("state").appending("c1")))
            // And the name is free.
            #expect(try await fixture.output(of: ["/bin/true"]).code == 0)
        }
    }

    private func start(_ fixture: OCIFixture, _ arguments: [String], _ change: String = ".") async throws {
        try await fixture.configure(arguments, change)
        try await Program.system("sh").check(
            "-c",
            "\(fixture.runtime.path) \(fixture.runtime.arguments.joined(separator: " ")) run --detach --bundle "
                + "\(fixture.bundle) c1 > \(fixture.scratch.appending("output")) 2>&1 < /dev/null")
    }
}
