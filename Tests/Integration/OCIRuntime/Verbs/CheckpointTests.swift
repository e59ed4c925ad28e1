internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Checkpoint and restore with the machine's CRIU (or the one that $BERTH_CRIU names), where it says that it can work
/// with this kernel. Without runc: Debian's (1.1.5) does not come to an end with a CRIU that knows a kernel of today.
@Suite(.enabled(if: CRIU.isPossible)) struct CheckpointTests {
    /// Counts in /counter; what it has counted is in its memory alone.
    private static let counting = [
        "/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /counter; sleep 0.05; done",
    ]

    @Test func restoredContainerGoesOnWhereItWas() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await start(fixture)
            try await eventually("the counter") { count(fixture) > 10 }
            let images = fixture.scratch.appending("images").string
            let work = fixture.scratch.appending("work").string
            try await runtime(fixture).check("checkpoint", "--image-path", images, "--work-path", work, "c1")
            let stopped = count(fixture)
            #expect(
                try await fixture.runtime.check("list", "--quiet").standardOutput == "",
                "a checkpoint ends its container")
            #expect(Files.exists(FilePath(work).appending("dump.log")))

            try await detached(
                fixture,
                "restore --detach --image-path \(images) --work-path \(work) --bundle \(fixture.bundle) --pid-file \(fixture.scratch.path)/pid c2"
            )
            try await eventually("the counter to go on") { count(fixture) > stopped }
            // One that began anew would have counted from 1.
            #expect(count(fixture) < stopped + 1000 && stopped > 10)
            let state = try await fixture.runtime.check("state", "c2").standardOutput
            #expect(state.contains("\"running\""), "\(state)")
            #expect(try state.contains(Files.readText(fixture.scratch.appending("pid"))))
            #expect(try await fixture.runtime.check("exec", "c2", "/bin/hostname").standardOutput != "")
            try await fixture.runtime.check("delete", "--force", "c2")
        }
    }

    @Test func leftRunningItRuns() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await start(fixture)
            try await eventually("the counter") { count(fixture) > 3 }
            let images = fixture.scratch.appending("images").string
            try await runtime(fixture).check("checkpoint", "--leave-running", "--image-path", images, "c1")
            let then = count(fixture)
            try await eventually("the counter to go on") { count(fixture) > then }
            #expect(try await fixture.runtime.check("state", "c1").standardOutput.contains("\"running\""))
        }
    }

    @Test func whatCannotBeRestoredLeavesNothing() async throws {
        try await OCIFixture.with(.berth) { fixture in
            try await fixture.configure(["/bin/true"])
            let images = try fixture.scratch.directory("images")
            try fixture.scratch.file("images/descriptors.json", "[\"/dev/null\",\"/dev/null\",\"/dev/null\"]")
            let before = try HostSnapshot(of: fixture.scratch.appending("state"), mark: fixture.mark)
            let output = try await runtime(fixture).run(
                "restore", "--image-path", images.string, "--bundle", fixture.bundle.string, "c1")
            #expect(output.code == 1)
            #expect(output.standardError.contains("criu"), "\(output)")
            #expect(
                try HostSnapshot(of: fixture.scratch.appending("state"), mark: fixture.mark).added(since: before) == [])
        }
    }

    private func runtime(_ fixture: OCIFixture) -> Program {
        fixture.runtime.with("--criu").with(CRIU.program)
    }

    private func start(_ fixture: OCIFixture) async throws {
        try await fixture.configure(Self.counting, ".root.readonly = false")
        try await detached(fixture, "run --detach --bundle \(fixture.bundle) c1")
    }

    private func detached(_ fixture: OCIFixture, _ command: String) async throws {
        let program = runtime(fixture)
        try await Program.system("sh").check(
            "-c",
            "\(program.path) \(program.arguments.joined(separator: " ")) \(command) > /dev/null 2> \(fixture.scratch.path)/err < /dev/null || { cat \(fixture.scratch.path)/err >&2; exit 1; }"
        )
    }

    private func count(_ fixture: OCIFixture) -> Int {
        // It is there when it has counted once, and empty for a moment each time.
        (try? Files.readText(fixture.bundle.pushing("rootfs/counter"))).flatMap { Int($0) } ?? 0
    }
}
