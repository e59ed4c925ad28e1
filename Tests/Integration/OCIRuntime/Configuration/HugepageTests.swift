internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `linux.resources.hugepageLimits`.
@Suite(.enabled(if: hasController, "the controller hugetlb")) struct OCIHugepageTests {
    private static func limit(_ bytes: Int, ofSize size: String) -> String {
        ".linux.resources.hugepageLimits = [{\"pageSize\": \"\(size)\", \"limit\": \(bytes)}]"
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func limitIsOfUsedPagesAndOfReservedOnes(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: Self.limit(4 << 20, ofSize: "2MB"))
            let files = ["hugetlb.2MB"] + (kind.has(.reservedHugepages) ? ["hugetlb.2MB.rsvd"] : [])
            for name in files {
                let bytes = try fixture.limit("hugetlb", v1: "\(name).limit_in_bytes", v2: "\(name).max")
                #expect(bytes == "\(4 << 20)", "\(name)")
            }
        }
    }

    @Test(.enabled(if: ownPages, "2 MiB pages that are this test's alone"), arguments: RuntimeUnderTest.allCases)
    func pagesBeyondTheLimitAreRefused(_ kind: RuntimeUnderTest) async throws {
        let file = FilePath("/proc/sys/vm/nr_hugepages")
        let before = try Files.readText(file)
        try Files.writeKernelFile(file, "8")
        defer { try? Files.writeKernelFile(file, before) }
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell(
                "cd /tmp; fallocate -l 4194304 two && echo two; fallocate -l 2097152 third 2> /dev/null || echo no third",
                """
                \(Self.limit(4 << 20, ofSize: "2MB"))
                | .mounts += [{"destination": "/tmp", "type": "hugetlbfs", "source": "none", "options": ["pagesize=2M"]}]
                """)
            #expect(output.shown == ["two", "no third"], "\(output)")
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func sizeThatTheProcessorHasNotIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell("echo ran", Self.limit(3 << 20, ofSize: "3MB"))
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.contains("3MB"), "\(output)")
        }
    }
}

/// The cgroup2 of a hybrid host may list it, and hand it down to nobody.
private let hasController: Bool = {
    guard let host = try? CgroupHost.detect(), let hierarchy = host.hierarchy(of: "hugetlb") else { return false }
    return host.layout == .unified || !hierarchy.isUnified
}()

/// Pages are the whole machine's: they are reserved in a guest alone.
private let ownPages = guest && Files.exists("/sys/kernel/mm/hugepages/hugepages-2048kB")
