internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `linux.resources.blockIO`.
@Suite(.enabled(if: device != nil)) struct OCIBlockIOTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func throttlesReachTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let device = try #require(device)
            let (major, minor) = (device.split(separator: ":")[0], device.split(separator: ":")[1])
            func rate(_ value: Int) -> String { "[{\"major\": \(major), \"minor\": \(minor), \"rate\": \(value)}]" }
            try await fixture.start(
                change: """
                    .linux.resources.blockIO = {"throttleReadBpsDevice": \(rate(1_048_576)),
                        "throttleWriteBpsDevice": \(rate(2_097_152)), "throttleReadIOPSDevice": \(rate(300)),
                        "throttleWriteIOPSDevice": \(rate(400))}
                    """)
            let cgroup = try fixture.cgroup
            if cgroup.isUnified("blkio") {
                #expect(try cgroup.read("io", "io.max") == "\(device) rbps=1048576 wbps=2097152 riops=300 wiops=400")
                return
            }
            for (file, value) in [
                ("read_bps", 1_048_576), ("write_bps", 2_097_152), ("read_iops", 300), ("write_iops", 400),
            ] {
                #expect(try cgroup.read("blkio", "blkio.throttle.\(file)_device") == "\(device) \(value)")
            }
        }
    }
}

/// A disk of this machine, as MAJOR:MINOR.
private let device: String? = ((try? Files.list("/sys/block")) ?? []).sorted().lazy
    .compactMap { try? Files.readText(FilePath("/sys/block/\($0)/dev")) }.first
