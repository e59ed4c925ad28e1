internal import LinuxKernel
internal import TestSupport
internal import Testing

/// The short form of hack/soak: what pods and sessions leave, shows in a few dozen of them.
@Suite struct SoakTests {
    @Test func podsAndSessionsLeaveNothingBehind() async throws {
        try await Daemon.with { daemon in
            let output = try await Program.ours(
                "bench-cri", "soak", "--socket", daemon.socket.string, "--image", Daemon.image, "--daemon",
                "\(await daemon.pid)", "--cgroup-parent", daemon.cgroupParent, "--folder",
                daemon.scratch.appending("state").string, "--folder",
                daemon.scratch.appending("root").appending("snapshots").string, "--pods", "40", "--execs", "200",
                "--workers", "8", "--memory", "16384", "--own-links", daemon.mark
            ).run()
            #expect(output.code == 0, "\(output)")
        }
    }
}
