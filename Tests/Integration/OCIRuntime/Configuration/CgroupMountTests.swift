internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Mounts of the type `cgroup`.
@Suite struct OCICgroupMountTests {
    /// The directory of the pids controller: of its own hierarchy, or of the one of v2.
    private static let enter = "cd /sys/fs/cgroup; [ ! -d pids ] || cd pids"
    private static let ownNamespace =
        ".linux.namespaces |= (map(select(.type != \"cgroup\")) + [{\"type\": \"cgroup\"}])"

    @Test(arguments: RuntimeUnderTest.allCases, ["ro", "rw"])
    func containerSeesItsOwnCgroupAsTheRoot(_ kind: RuntimeUnderTest, _ option: String) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                """
                \(Self.enter); cat pids.max; grep -c ^1$ cgroup.procs; cut -d : -f 3 /proc/self/cgroup | sort -u
                mkdir below 2> /dev/null && echo made && rmdir below || echo refused
                """,
                """
                .linux.resources.pids = {"limit": 55} | \(Self.ownNamespace) | .mounts |= map(
                    if .destination == "/sys/fs/cgroup" then .options = ["nosuid", "noexec", "nodev", "\(option)"] else . end)
                """)
            #expect(output.shown == ["55", "1", "/", option == "rw" ? "made" : "refused"], "\(output)")
        }
    }

    /// On v1 each controller's directory shows the container's cgroup; v2 has one root for all.
    @Test(.enabled(if: (try? CgroupHost.detect())?.layout != .unified), arguments: RuntimeUnderTest.allCases)
    func withoutANamespaceOnlyItsOwnCgroupIsShown(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "\(Self.enter); cat pids.max; grep -c ^1$ cgroup.procs; grep -c /\(fixture.mark)/c$ /proc/self/cgroup; ls /sys/fs/cgroup",
                ".linux.resources.pids = {\"limit\": 55} | .linux.namespaces |= map(select(.type != \"cgroup\"))")
            let hierarchies = try CgroupHost.detect().hierarchies
            #expect(output.shown.prefix(3) == ["55", "1", "\(hierarchies.count)"], "\(output)")
            for name in hierarchies.filter({ !$0.isUnified }).compactMap(\.mountpoint.lastComponent?.string) {
                #expect(output.shown.contains(name), "\(name) in \(output)")
            }
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
}
