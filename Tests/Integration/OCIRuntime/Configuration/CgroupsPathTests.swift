internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `linux.cgroupsPath`.
@Suite struct OCICgroupsPathTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func absolutePathIsBelowTheMountOfEachHierarchy(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let path = "/\(fixture.mark)/deep/deeper"
            let output = try await fixture.output(
                of: ["/bin/cat", "/proc/self/cgroup"],
                ".linux.cgroupsPath = \"\(path)\" | .linux.namespaces |= map(select(.type != \"cgroup\"))")
            let places = output.lines.map { $0.split(separator: ":", omittingEmptySubsequences: false)[2] }
            #expect(Set(places) == [Substring(path)], "\(output)")
            #expect(try places.count == CgroupHost.detect().hierarchies.count)
            #expect(!Cgroup(host: try CgroupHost.detect(), path: path).exists)
            try Cgroup(host: CgroupHost.detect(), path: "/\(fixture.mark)/deep").delete()
        }
    }

    /// A path of the container's own name, where none is told.
    @Test(arguments: RuntimeUnderTest.allCases)
    func withoutOneItIsTheRuntimesChoice(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.configure(
                ["/bin/cat", "/proc/self/cgroup"],
                "del(.linux.cgroupsPath) | .linux.namespaces |= map(select(.type != \"cgroup\"))")
            let id = "\(fixture.mark)-own"
            let output = try await fixture.run(id)
            #expect(output.code == 0, "\(output)")
            #expect(output.shown.allSatisfy { $0.hasSuffix("/\(id)") }, "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func existingEmptyCgroupIsJoined(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let cgroup = try fixture.cgroup
            try cgroup.create()
            let output = try await fixture.output(
                of: ["/bin/cat", "/proc/self/cgroup"], ".linux.namespaces |= map(select(.type != \"cgroup\"))")
            #expect(output.code == 0, "\(output)")
            let places = Set(output.lines.map { $0.split(separator: ":", omittingEmptySubsequences: false)[2] })
            #expect(places == ["/\(fixture.mark)/c"])
            #expect(!cgroup.exists, "the runtime removes the cgroup of its container, whoever made it")
        }
    }

    @Test(arguments: RuntimeUnderTest.knowing(.emptyCgroupsOnly))
    func cgroupWithAnothersProcessesIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let cgroup = try fixture.cgroup
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
}
