internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The verb `delete`.
@Suite struct OCIDeleteTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func onlyAStoppedContainerIsDeletedWithoutForce(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
            let running = try await fixture.runtime.run("delete", "c1")
            #expect(running.code == 1)
            #expect(running.standardError.contains("is not stopped"), "\(running)")
            #expect(try await fixture.state()["status"] == "running")
            try await fixture.runtime.check("kill", "c1", "KILL")
            try await fixture.waitUntilStopped()
            try await fixture.runtime.check("delete", "c1")
            let gone = try await fixture.runtime.run("delete", "c1")
            #expect(gone.code == 1)
            #expect(gone.standardError.contains("container does not exist"), "\(gone)")
            #expect(try await fixture.runtime.run("delete", "--force", "c1").code == 0, "with --force that is no error")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func forceEndsWhatRunsWaitsOrIsPaused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(["/bin/sleep", "1000"])
            for steps in [["create"], ["run --detach"], ["run --detach", "pause"]] {
                try await fixture.detached("\(steps[0]) --bundle \(fixture.bundle) c1")
                for verb in steps.dropFirst() { try await fixture.runtime.check(verb, "c1") }
                let pids = try fixture.cgroup.pids()
                #expect(pids.count == 1)
                try await fixture.runtime.check("delete", "--force", "c1")
                for pid in pids { #expect(!(ProcessStatus.read(pid)?.isAlive ?? false), "\(steps)") }
                #expect(try !fixture.cgroup.exists, "\(steps)")
                #expect(!Files.exists(fixture.scratch.appending("state").appending("c1")), "\(steps)")
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func deleteTakesDescendantsWithIt(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start()
            let cgroup = try fixture.cgroup
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

    @Test(arguments: RuntimeUnderTest.knowing(.deleteOfAKilledCreate))
    func deleteForceCleansUpAfterAKilledCreate(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
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

            let cgroup = try fixture.cgroup
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
}
