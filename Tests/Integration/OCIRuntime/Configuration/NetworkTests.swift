internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `linux.resources.network`: controllers that cgroup v1 alone has.
@Suite struct OCINetworkTests {
    private static let limits = """
        .linux.resources.network = {"classID": 1048577,
            "priorities": [{"name": "lo", "priority": 4}, {"name": "eth9", "priority": 7}]}
        """

    /// In a mount namespace of the test's own, with the cgroups of a hybrid host.
    @Test(
        .enabled(if: hasNetworkControllers, "a guest with net_cls and net_prio"), arguments: RuntimeUnderTest.allCases)
    func classAndPrioritiesReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/true"], Self.limits + " | .linux.namespaces |= map(select(.type != \"network\"))")
            let output = try await Program.system("unshare").run(
                "--mount", "sh", "-c",
                """
                umount /sys/fs/cgroup && mount -t tmpfs tmpfs /sys/fs/cgroup && cd /sys/fs/cgroup && mkdir unified devices net_cls,net_prio
                mount -t cgroup2 cgroup2 unified; mount -t cgroup -o devices devices devices
                mount -t cgroup -o net_cls,net_prio net net_cls,net_prio; ip link add eth9 type dummy
                \(fixture.call) create --bundle \(fixture.bundle) c1 < /dev/null > \(fixture.log) 2>&1 || cat \(fixture.log)
                cd net_cls,net_prio/\(fixture.mark); cat c/net_cls.classid; grep -E "lo|eth9" c/net_prio.ifpriomap
                \(fixture.call) delete --force c1; ip link delete eth9
                rmdir /sys/fs/cgroup/*/\(fixture.mark)
                """)
            #expect(output.shown == ["1048577", "lo 4", "eth9 7"], "\(output)")
        }
    }

    @Test(
        .enabled(if: (try? CgroupHost.detect())?.layout == .unified),
        arguments: [
            ("{\"classID\": 7}", "linux.resources.network.classID"),
            ("{\"priorities\": [{\"name\": \"lo\", \"priority\": 4}]}", "linux.resources.network.priorities"),
        ])
    func unifiedHierarchyHasNeither(_ network: String, _ field: String) async throws {
        try await OCIFixture.with(.berth) { fixture in
            let output = try await fixture.shell("echo ran", ".linux.resources.network = \(network)")
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.contains(field), "\(output)")
        }
    }
}

private let hasNetworkControllers: Bool = {
    guard guest, let known = try? Files.readText("/proc/cgroups") else { return false }
    return known.contains("net_cls") && known.contains("net_prio")
}()
