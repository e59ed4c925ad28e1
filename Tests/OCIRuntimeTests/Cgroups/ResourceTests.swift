internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import Testing

@Suite struct ResourceTests {
    @Test(
        arguments: [(2, 1), (100, 17), (1024, 100), (2048, 174), (262_144, 10_000), (0, 1), (1_000_000, 10_000)]
            as [(UInt64, UInt64)])
    func sharesBecomeWeights(shares: UInt64, weight: UInt64) {
        #expect(ResourceWrites.weight(shares: shares) == weight)
    }

    @Test func swapOfV1IsMemoryAndSwapAndOfV2SwapAlone() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.limit = 100
        resources.memory?.swap = 300
        let v2 = try ResourceWrites.compile(resources, on: Hosts.unified.cgroups)
        #expect(v2.contains(CgroupWrite("memory", "memory.swap.max", "200")))
        #expect(v2.contains(CgroupWrite("memory", "memory.max", "100")))
        let v1 = try ResourceWrites.compile(resources, on: Hosts.hybrid.cgroups)
        #expect(v1.map(\.file) == ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"])
        #expect(v1.last?.value == "300")
    }

    @Test func noLimitIsMaxOnV2AndMinusOneOnV1() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.limit = -1
        resources.pids = .init(limit: -1)
        let v2 = try ResourceWrites.compile(resources, on: Hosts.unified.cgroups)
        // A limit of swap that was set with the one of memory goes with it.
        #expect(
            v2 == [
                CgroupWrite("memory", "memory.swap.max", "max", ifPresent: true),
                CgroupWrite("memory", "memory.max", "max"), CgroupWrite("pids", "pids.max", "max"),
            ])
        let v1 = try ResourceWrites.compile(resources, on: Hosts.hybrid.cgroups)
        #expect(
            v1.prefix(2) == [
                CgroupWrite("memory", "memory.limit_in_bytes", "-1"),
                CgroupWrite("memory", "memory.memsw.limit_in_bytes", "-1", ifPresent: true),
            ])
    }

    @Test func swapWithoutALimitOfMemoryIsSwapItself() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.limit = -1
        resources.memory?.swap = 300
        let writes = try ResourceWrites.compile(resources, on: Hosts.unified.cgroups)
        #expect(writes.first == CgroupWrite("memory", "memory.swap.max", "300"))
        resources.memory?.limit = nil
        #expect(throws: BerthError.self) { try ResourceWrites.compile(resources, on: Hosts.unified.cgroups) }
    }

    @Test(arguments: [1, 262_145] as [UInt64])
    func sharesThatV1WouldChangeAreRefusedThere(shares: UInt64) throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.cpu = .init()
        resources.cpu?.shares = shares
        #expect(throws: BerthError.self) { try ResourceWrites.compile(resources, on: Hosts.hybrid.cgroups) }
        #expect(try ResourceWrites.compile(resources, on: Hosts.unified.cgroups).count == 1)
    }

    @Test func weightsOfBlockIOKnowTheFilesOfBothSchedulers() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.blockIO = .init()
        resources.blockIO?.weight = 1000
        #expect(
            try ResourceWrites.compile(resources, on: Hosts.unified.cgroups) == [
                CgroupWrite(
                    "io", "io.bfq.weight", "1000", alternatives: [CgroupWrite("io", "io.weight", "10000")])
            ])
        #expect(
            try ResourceWrites.compile(resources, on: Hosts.hybrid.cgroups) == [
                CgroupWrite(
                    "blkio", "blkio.weight", "1000",
                    alternatives: [CgroupWrite("blkio", "blkio.bfq.weight", "1000")])
            ])
    }

    @Test func hugepagesAreLimitedWhenTheyAreReserved() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.hugepageLimits = [.init(pageSize: "2MB", limit: 100)]
        #expect(
            try ResourceWrites.compile(resources, on: Hosts.unified.cgroups) == [
                CgroupWrite("hugetlb", "hugetlb.2MB.max", "100"),
                CgroupWrite("hugetlb", "hugetlb.2MB.rsvd.max", "100", ifPresent: true),
            ])
    }

    @Test func aLimitOfNoProcessesLeavesTheContainersOwn() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.pids = .init(limit: 0)
        #expect(
            try ResourceWrites.compile(resources, on: Hosts.hybrid.cgroups) == [CgroupWrite("pids", "pids.max", "1")])
        resources.pids = .init(limit: nil)
        #expect(try ResourceWrites.compile(resources, on: Hosts.hybrid.cgroups).isEmpty)
    }

    @Test func nothingIsWrittenForWhatIsZeroOrAbsent() throws {
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.limit = 0
        resources.cpu = .init()
        resources.cpu?.shares = 0
        resources.cpu?.cpus = ""
        resources.blockIO = .init()
        #expect(try ResourceWrites.compile(resources, on: Hosts.unified.cgroups) == [])
    }

    @Test func aRuleForEverythingStartsAnew() {
        let writes = DeviceRules.legacyWrites([
            .init(allow: true, type: "c", major: 1, minor: 3, access: "rwm"), .init(allow: false, access: "rwm"),
            .init(allow: true, type: "b", major: 8, minor: nil, access: "r"),
        ])
        #expect(writes.map(\.value) == ["a", "b 8:* r"])
        #expect(writes.map(\.file) == ["devices.deny", "devices.allow"])
    }
}
