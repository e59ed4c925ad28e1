internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `process.apparmorProfile` and `process.selinuxLabel`, on a kernel that has neither: to run without is no choice.
@Suite(.enabled(if: !hasSecurityModule)) struct OCISecurityLabelTests {
    @Test(
        arguments: RuntimeUnderTest.allCases,
        [(".process.apparmorProfile = \"box\"", "apparmor"), (".process.selinuxLabel = \"a:b:c:s0\"", "selinux")])
    func labelWithoutItsModuleIsRefused(
        _ kind: RuntimeUnderTest, _ label: (change: String, word: String)
    ) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell("echo ran", label.change)
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.lowercased().contains(label.word), "\(output)")
        }
    }
}

/// `process.selinuxLabel` and `linux.mountLabel` under the policy of Tests/Fixtures/SELinux: `hack/vm --selinux`.
@Suite(.enabled(if: hasSELinux && (try? Files.readText("/etc/selinux/config")) == "SELINUXTYPE=berth"))
struct OCISELinuxTests {
    private static let process = "system_u:system_r:container_t:s0:c1,c2"
    private static let files = "system_u:object_r:container_file_t:s0:c1,c2"
    private static let labels = ".process.selinuxLabel = \"\(process)\" | .linux.mountLabel = \"\(files)\""

    @Test(arguments: RuntimeUnderTest.allCases)
    func processesAndMountsHaveTheirLabels(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: Self.labels)
            let pid = try #require(try await fixture.state()["pid"])
            let context = try Files.readText(FilePath("/proc/\(pid)/attr/current"))
            #expect(context.hasPrefix(Self.process))
            let output = try await fixture.exec("cat /proc/self/attr/current")
            #expect(output.standardOutput.hasPrefix(Self.process), "\(output)")
            for path in ["dev", "dev/null", "dev/shm", "dev/pts", "proc/scsi"] {
                let path = FilePath("/proc/\(pid)/root/\(path)")
                guard Files.exists(path) else { continue }
                let label = try Syscall.lgetxattr(path, "security.selinux").prefix { $0 != 0 }
                #expect(String(decoding: label, as: UTF8.self) == Self.files, "\(path)")
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func aFileOfAnotherLevelIsKeptFromIt(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            for (name, level) in [("own", "s0:c1,c2"), ("other", "s0:c1,c3")] {
                try fixture.scratch.file("bundle/rootfs/\(name)", "text\n")
                try Syscall.lsetxattr(
                    fixture.scratch.appending("bundle/rootfs/\(name)"), "security.selinux",
                    Array("system_u:object_r:container_file_t:\(level)\0".utf8))
            }
            let output = try await fixture.shell("cat /own; cat /other 2> /dev/null || echo refused", Self.labels)
            #expect(output.shown == ["text", "refused"], "\(output)")
        }
    }
}

private let hasSELinux = Files.exists("/sys/fs/selinux/enforce")

private let hasSecurityModule =
    (try? Files.readText("/sys/module/apparmor/parameters/enabled")) == "Y" || hasSELinux
