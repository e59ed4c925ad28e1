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

/// The weights of `linux.resources.blockIO`: of the BFQ scheduler where its module is loaded.
@Suite(.enabled(if: hasWeights, "a guest's cgroup2 with io.bfq.weight")) struct OCIBlockIOWeightTests {
    @Test(arguments: RuntimeUnderTest.allCases)
    func weightReachesTheCgroup(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(change: ".linux.resources.blockIO = {\"weight\": 321}")
            #expect(try fixture.cgroup.read("io", "io.bfq.weight") == "default 321")
        }
    }

    /// A disk's own weight is for one that BFQ schedules.
    @Test(arguments: RuntimeUnderTest.allCases)
    func weightOfOneDiskReachesTheCgroup(_ kind: RuntimeUnderTest) async throws {
        let disk = FilePath("/sys/block/loop3")
        let scheduler = disk.appending("queue/scheduler")
        let before = try #require(try Files.readText(scheduler).split(separator: "[").last?.split(separator: "]").first)
        try Files.writeKernelFile(scheduler, "bfq")
        defer { try? Files.writeKernelFile(scheduler, String(before)) }
        let number = try Files.readText(disk.appending("dev"))
        let parts = number.split(separator: ":")
        try await OCIFixture.with(kind) { fixture in
            try await fixture.start(
                change: """
                    .linux.resources.blockIO = {"weight": 500,
                        "weightDevice": [{"major": \(parts[0]), "minor": \(parts[1]), "weight": 700}]}
                    """)
            let lines = try fixture.cgroup.read("io", "io.bfq.weight").split(separator: "\n").map(String.init)
            #expect(lines == ["default 500", "\(number) 700"])
        }
    }
}

/// A scheduler is the machine's: it is chosen in a guest alone.
private let hasWeights =
    guest && Files.exists("/sys/module/bfq") && (try? CgroupHost.detect())?.layout == .unified

/// A disk of this machine, as MAJOR:MINOR.
private let device: String? = ((try? Files.list("/sys/block")) ?? []).sorted().lazy
    .compactMap { try? Files.readText(FilePath("/sys/block/\($0)/dev")) }.first
