internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Limits of a container that runs, on plain files in the place of cgroups.
@Suite struct CgroupUpdateTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory("cgroup-update")
    }

    private func unified(_ files: [String: String]) throws -> ContainerCgroup {
        for (name, text) in files { try scratch.file("box/\(name)", text) }
        let host = CgroupHost(
            layout: .unified,
            hierarchies: [.init(mountpoint: scratch.path, controllers: ["cpu", "memory"], isUnified: true)])
        return ContainerCgroup(host: host, path: "/box", unit: nil)
    }

    private func text(_ name: String) throws -> String { try Files.readText(scratch.appending("box/\(name)")) }

    @Test func aPeriodKeepsTheQuotaAndAQuotaThePeriod() throws {
        let cgroup = try unified(["cpu.max": "500000 1000000"])
        var resources = RuntimeSpec.Linux.Resources()
        resources.cpu = .init()
        resources.cpu?.period = 900_000
        try cgroup.update(resources)
        // The kernel takes a write as a whole; a plain file keeps what is longer.
        #expect(try text("cpu.max").hasPrefix("500000 900000"))

        try scratch.file("box/cpu.max", "500000 900000")
        resources.cpu = .init()
        resources.cpu?.quota = 600_000
        try cgroup.update(resources)
        #expect(try text("cpu.max") == "600000 900000")
    }

    @Test func swapAloneCountsFromTheMemoryLimitThatStays() throws {
        let cgroup = try unified(["memory.max": "100", "memory.swap.max": ""])
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.swap = 250
        try cgroup.update(resources)
        #expect(try text("memory.swap.max") == "150")
    }

    @Test func aLimitBelowTheUsageIsRefusedWhereThatIsToBeChecked() throws {
        let cgroup = try unified(["memory.max": "5000", "memory.current": "2000"])
        var resources = RuntimeSpec.Linux.Resources()
        resources.memory = .init()
        resources.memory?.limit = 1000
        resources.memory?.checkBeforeUpdate = true
        let error = #expect(throws: BerthError.self) { try cgroup.update(resources) }
        #expect(error?.description.contains("rejecting memory limit 1000 <= usage 2000") == true)
        resources.memory?.swap = 1500
        let both = #expect(throws: BerthError.self) { try cgroup.update(resources) }
        #expect(both?.description.contains("rejecting memory+swap limit 1500 <= usage 2000") == true)
        resources.memory?.swap = nil
        #expect(try text("memory.max") == "5000")
        resources.memory?.checkBeforeUpdate = false
        try cgroup.update(resources)
        #expect(try text("memory.max") == "1000")
    }

    @Test func aMissingFileGivesWayToItsAlternative() throws {
        let cgroup = try unified(["io.weight": ""])
        try cgroup.cgroup.apply([
            CgroupWrite("io", "io.bfq.weight", "500", alternatives: [CgroupWrite("io", "io.weight", "5000")]),
            CgroupWrite("memory", "memory.swap.max", "max", ifPresent: true),
        ])
        #expect(try text("io.weight") == "5000")
        #expect(throws: CgroupFailure.self) { try cgroup.cgroup.apply([CgroupWrite("cpu", "cpu.max", "max")]) }
    }

    /// Somebody made the parent and left it empty; a v1 cpuset takes no process then.
    @Test func anEmptyCPUSetOfAParentIsFilledToo() throws {
        for (folder, text) in [("", "0-3"), ("pods", "0-3"), ("pods/one", "")] {
            for name in ["cpuset.cpus", "cpuset.mems"] { try scratch.file("\(folder)/\(name)", text) }
        }
        let host = CgroupHost(
            layout: .legacy,
            hierarchies: [.init(mountpoint: scratch.path, controllers: ["cpuset"], isUnified: false)])
        let survey = ContainerCgroup(host: host, path: "/pods/one/box", unit: nil).survey()
        #expect(
            survey.missing.first?.paths == [
                scratch.path.appending("pods/one"), scratch.path.appending("pods/one/box"),
            ])
        #expect(survey.cpuset?.cpus == "0-3")
    }
}
