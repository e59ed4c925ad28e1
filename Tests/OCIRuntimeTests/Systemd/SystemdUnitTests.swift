internal import Core
internal import OCISpec
@testable internal import OCIRuntime
internal import Testing

@Suite struct SystemdUnitTests {
    @Test(arguments: [
        ("system.slice", "/system.slice"), ("-.slice", "/"),
        ("kubepods-besteffort-pod1.slice", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice"),
    ])
    func eachDashOfASliceIsALevel(slice: String, path: String) throws {
        #expect(try SystemdUnit.path(ofSlice: slice) == path)
    }

    @Test(arguments: ["a", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", "a b.slice"])
    func whatIsNoSliceIsRefused(_ slice: String) {
        #expect(throws: BerthError.self) { try SystemdUnit.path(ofSlice: slice) }
    }

    @Test(arguments: [
        ("a-b.slice:crio:1", "crio-1.scope", "/a.slice/a-b.slice/crio-1.scope"),
        (":crio:1", "crio-1.scope", "/system.slice/crio-1.scope"), ("a.slice::1", "1.scope", "/a.slice/1.scope"),
        ("-.slice:x:1", "x-1.scope", "/x-1.scope"), ("a.slice::a-b.slice", "a-b.slice", "/a.slice/a-b.slice"),
        ("", "berth-oci-id.scope", "/system.slice/berth-oci-id.scope"),
    ])
    func pathNamesUnitAndCgroup(_ path: String, _ name: String, _ cgroup: String) throws {
        let unit = try SystemdUnit(cgroupsPath: path, id: "id")
        #expect(unit.name == name)
        #expect(try unit.cgroup() == cgroup)
        #expect(try unit.cgroup(below: "/user.slice/x.service") == "/user.slice/x.service" + cgroup)
    }

    @Test(arguments: ["/a/b", "a.slice:b", "a.slice:b:", "a:b:c", "a.slice:b:c:d", "a.slice:b:c/d"])
    func whatTheDriverCannotReadIsRefusedByItsField(_ path: String) {
        let error = #expect(throws: BerthError.self) { try SystemdUnit(cgroupsPath: path, id: "id") }
        #expect(error?.message.contains("linux.cgroupsPath") == true)
    }

    @Test func slashlessPathsAreTheOtherDriversToo() throws {
        let cgroup = try ContainerCgroup(host: Hosts.unified.cgroups, path: "a:b:c", id: "id")
        #expect(cgroup.unit == nil)
        #expect(cgroup.path == "a:b:c")
    }

    // MARK: Annotations

    @Test func annotationsBecomeProperties() throws {
        let properties = try UnitAnnotations.properties([
            "org.systemd.property.TimeoutStopUSec": "uint64 5",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.TimeoutStopSec": "3", "other": "1",
            "org.systemd.property.Before": "['a.service', \"b.service\"]",
            "org.systemd.property.SendSIGHUP": "true",
        ])
        #expect(
            properties.map(\.name) == ["Before", "CollectMode", "SendSIGHUP", "TimeoutStopUSec", "TimeoutStopUSec"])
        #expect(
            properties.map(\.value) == [
                .strings(["a.service", "b.service"]), .string("inactive-or-failed"), .boolean(true), .uint64(3_000_000),
                .uint64(5),
            ])
    }

    @Test(arguments: [
        ("Ab", "1"), ("lower", "1"), ("With-Dash", "1"), ("Name", "naked"), ("WaitSec", "'a'"), ("Name", "['a]"),
    ])
    func annotationsThatAreNoPropertiesAreRefused(_ name: String, _ value: String) {
        #expect(throws: BerthError.self) { try UnitAnnotations.properties(["org.systemd.property.\(name)": value]) }
    }
}

@Suite struct UnitPropertiesTests {
    private func properties(
        unified: Bool = true, _ change: (inout RuntimeSpec.Linux.Resources) -> Void
    ) throws -> [String: DBusValue] {
        var resources = RuntimeSpec.Linux.Resources()
        change(&resources)
        let list = try UnitProperties(resources, isUnified: unified).list
        return Dictionary(list.map { ($0.name, $0.value) }) { _, last in last }
    }

    @Test func memory() throws {
        let set = try properties {
            $0.memory = .init()
            $0.memory?.limit = 100
            $0.memory?.swap = 300
            $0.memory?.reservation = 50
        }
        #expect(set == ["MemoryMax": .uint64(100), "MemorySwapMax": .uint64(200), "MemoryLow": .uint64(50)])
        let none = try properties {
            $0.memory = .init()
            $0.memory?.limit = -1
            $0.memory?.swap = -1
        }
        #expect(none == ["MemoryMax": .uint64(.max), "MemorySwapMax": .uint64(.max)])
        let legacy = try properties(unified: false) {
            $0.memory = .init()
            $0.memory?.limit = 100
            $0.memory?.swap = 300
        }
        #expect(legacy == ["MemoryLimit": .uint64(100)])
    }

    @Test func cpu() throws {
        let set = try properties {
            $0.cpu = .init()
            $0.cpu?.shares = 1024
            $0.cpu?.quota = 12345
            $0.cpu?.period = 50_000
            $0.cpu?.cpus = "0-2,9"
            $0.cpu?.mems = "0"
        }
        #expect(
            set == [
                "CPUWeight": .uint64(100), "CPUQuotaPeriodUSec": .uint64(50_000),
                // 246 900 us in a second, rounded up to a hundredth of a CPU.
                "CPUQuotaPerSecUSec": .uint64(250_000), "AllowedCPUs": .bytes([0b111, 0b10]),
                "AllowedMemoryNodes": .bytes([1]),
            ])
        let legacy = try properties(unified: false) {
            $0.cpu = .init()
            $0.cpu?.shares = 1024
            $0.cpu?.quota = -1
            $0.cpu?.cpus = "0"
        }
        #expect(legacy == ["CPUShares": .uint64(1024), "CPUQuotaPerSecUSec": .uint64(.max)])
        let idle = try properties {
            $0.cpu = .init()
            $0.cpu?.idle = 1
            $0.cpu?.shares = 5
        }
        #expect(idle == ["CPUWeight": .uint64(0)])
        var both = RuntimeSpec.Linux.Resources()
        both.cpu = .init()
        both.cpu?.idle = 1
        both.cpu?.shares = 5
        #expect(
            try UnitProperties(both, isUnified: true).warnings == [
                "unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight"
            ])
    }

    @Test func anIdleGroupHasNoWeight() throws {
        var both = RuntimeSpec.Linux.Resources()
        both.unified = ["cpu.idle": "1", "cpu.weight": "8"]
        let properties = try UnitProperties(both, isUnified: true)
        #expect(properties.list.map(\.name) == ["CPUWeight"])
        #expect(properties.list.map(\.value) == [.uint64(0)])
        #expect(properties.warnings.count == 1)
        #expect(try ResourceWrites.compile(both, on: Hosts.unified.cgroups).map(\.file) == ["cpu.idle"])
    }

    /// systemd writes the file again when it is reloaded: it must not change then.
    @Test(
        arguments: [
            (500_000, 900_000, 504_000), (500_000, 1_000_000, 500_000), (12345, 0, 13000), (-1, 100_000, -1),
            (Int64.max, 1, Int64.max),
        ] as [(Int64, UInt64, Int64)])
    func theQuotaIsOneThatSystemdCanSay(_ quota: Int64, _ period: UInt64, _ expected: Int64) {
        var resources = RuntimeSpec.Linux.Resources()
        resources.cpu = .init()
        resources.cpu?.quota = quota
        resources.cpu?.period = period
        #expect(resources.countedAsSystemdDoes.cpu?.quota == expected)
    }

    @Test func pidsAndUnified() throws {
        let set = try properties {
            $0.pids = .init(limit: 7)
            $0.unified = [
                "pids.max": "max", "cpu.max": "50000 100000", "memory.high": "5", "cpuset.cpus": "1",
                "hugetlb.2MB.max": "1",
            ]
        }
        #expect(
            set == [
                "TasksMax": .uint64(.max), "CPUQuotaPerSecUSec": .uint64(500_000),
                "CPUQuotaPeriodUSec": .uint64(100_000),
                "MemoryHigh": .uint64(5), "AllowedCPUs": .bytes([2]),
            ])
    }

    @Test(arguments: ["a", "1-", "3-1", "-1", "0-99999", "1-2-3"])
    func brokenListsAreRefused(_ list: String) {
        #expect(throws: BerthError.self) { try UnitProperties.mask(list, "cpu.cpus") }
    }
}
