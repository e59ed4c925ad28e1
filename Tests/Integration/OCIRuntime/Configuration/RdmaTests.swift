internal import LinuxKernel
internal import TestSupport
internal import Testing

/// `linux.resources.rdma`, with a device of the kernel's own (rdma_rxe over a dummy interface).
@Suite(.enabled(if: hasSoftwareDevices, "a guest with the controller rdma and the module rdma_rxe"))
struct OCIRdmaTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func limitsReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await withDevice {
            try await OCIFixture.with(kind) { fixture in
                try await fixture.start(
                    change: ".linux.resources.rdma = {\"berthrxe0\": {\"hcaHandles\": 3, \"hcaObjects\": 1000}}")
                let limits = try fixture.cgroup.read("rdma", "rdma.max").split(separator: " ")
                #expect(limits == ["berthrxe0", "hca_handle=3", "hca_object=1000"])
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func whatIsNotLimitedStaysAsItIs(_ kind: RuntimeUnderTest) async throws {
        try await withDevice {
            try await OCIFixture.with(kind) { fixture in
                try await fixture.start(change: ".linux.resources.rdma = {\"berthrxe0\": {\"hcaHandles\": 3}}")
                let limits = try fixture.cgroup.read("rdma", "rdma.max").split(separator: " ")
                #expect(limits == ["berthrxe0", "hca_handle=3", "hca_object=max"])
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func deviceThatIsNotThereIsRefused(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let output = try await fixture.shell("echo ran", ".linux.resources.rdma = {\"none0\": {\"hcaHandles\": 3}}")
            #expect(output.code == 1)
            #expect(output.standardOutput == "")
            #expect(output.standardError.contains("rdma"), "\(output)")
        }
    }

    private func withDevice(_ body: () async throws -> Void) async throws {
        let link = Program.system("ip", "link")
        try await link.check("add", "berthrdma0", "type", "dummy")
        do {
            try await link.check("set", "berthrdma0", "up")
            try await Program.system("rdma").check("link", "add", "berthrxe0", "type", "rxe", "netdev", "berthrdma0")
            try await body()
        } catch {
            _ = try? await link.run("delete", "berthrdma0")
            throw error
        }
        // The RDMA device goes with it.
        try await link.check("delete", "berthrdma0")
    }
}

private let hasSoftwareDevices =
    guest && (try? CgroupHost.detect())?.controllers.contains("rdma") == true && Files.exists("/sys/module/rdma_rxe")
