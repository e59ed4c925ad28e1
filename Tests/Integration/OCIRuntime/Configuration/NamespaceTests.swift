internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `linux.namespaces`.
@Suite struct OCINamespaceTests {
    private static let names = ["cgroup", "ipc", "mnt", "net", "pid", "uts"]
    private static let show = "for n in \(names.joined(separator: " ")); do readlink /proc/self/ns/$n; done"

    private static func namespaces(of process: String = "self") throws -> [String] {
        try names.map { try Syscall.readlinkat(FilePath("/proc/\(process)/ns/\($0)")) }
    }

    /// By name, those of `shown` that are none of `others`.
    private static func new(_ shown: [String], beside others: [String]) -> [String] {
        zip(names, zip(shown, others)).filter { $1.0 != $1.1 }.map(\.0)
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func listedOnesAreNewAndTheOthersTheHosts(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let host = try Self.namespaces()
            for types in [["mount", "pid", "ipc"], ["mount", "pid", "ipc", "network", "uts", "cgroup"]] {
                let list = types.map { "{\"type\": \"\($0)\"}" }.joined(separator: ", ")
                let output = try await fixture.shell(Self.show, ".linux.namespaces = [\(list)] | del(.hostname)")
                #expect(output.shown.count == Self.names.count, "\(output)")
                let names = types.map { ["mount": "mnt", "network": "net"][$0] ?? $0 }
                #expect(Self.new(output.shown, beside: host) == names.sorted(), "\(output)")
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func onesWithAPathAreJoined(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: ".linux.namespaces += [{\"type\": \"cgroup\"}] | .linux.namespaces |= unique")
            let pid = try #require(try await fixture.state()["pid"])
            let joined = try Self.namespaces(of: pid)
            let list = [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")].map {
                "{\"type\": \"\($0)\", \"path\": \"/proc/\(pid)/ns/\($1)\"}"
            }
            try await fixture.configure(
                ["/bin/sh", "-c", "\(Self.show); cat /proc/1/comm"],
                """
                .linux.namespaces = [{"type": "mount"}, {"type": "cgroup"}, \(list.joined(separator: ", "))] | del(.hostname)
                | .linux.cgroupsPath = "/\(fixture.mark)/c2"
                """)
            let output = try await fixture.run("c2")
            #expect(output.shown.last == "sleep", "\(output)")
            #expect(Self.new(output.shown, beside: joined) == ["cgroup", "mnt"], "\(output)")
        }
    }

    @Test(
        arguments: RuntimeUnderTest.allCases,
        [#"{"type": "network", "path": "/proc/1/ns/uts"}"#, #"{"type": "network", "path": "/none"}"#])
    func pathThatIsNoneOfItsTypeIsRefused(_ kind: RuntimeUnderTest, _ namespace: String) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.output(
                of: ["/bin/echo", "ran"], ".linux.namespaces |= (map(select(.type != \"network\")) + [\(namespace)])")
            #expect(output.code == 1, "\(output)")
            #expect(output.standardOutput == "", "\(output)")
        }
    }
}
