import SystemPackage
import TestSupport
import Testing

@testable import LinuxKernel

/// What `events` tells of hierarchies that few machines have, read from files as the kernel writes them.
@Suite struct CgroupEventsTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory("cgroup") }

    private func cgroup(isUnified: Bool, files: [String: String]) throws -> Cgroup {
        for (name, text) in files { try scratch.file(name, text + "\n") }
        let hierarchy = CgroupHierarchy(
            mountpoint: scratch.path, controllers: ["hugetlb", "cpuset"], isUnified: isUnified)
        return Cgroup(
            layout: isUnified ? .unified : .legacy, directories: [.init(hierarchy: hierarchy, path: scratch.path)])
    }

    @Test func hugePagesOfV1() throws {
        let cgroup = try cgroup(
            isUnified: false,
            files: [
                "hugetlb.2MB.usage_in_bytes": "4194304", "hugetlb.2MB.max_usage_in_bytes": "6291456",
                "hugetlb.2MB.failcnt": "3", "hugetlb.2MB.rsvd.usage_in_bytes": "9",
                "hugetlb.1GB.usage_in_bytes": "0", "hugetlb.1GB.max_usage_in_bytes": "0", "hugetlb.1GB.failcnt": "0",
            ])
        #expect(
            cgroup.hugePages() == [
                "2MB": .init(usage: 4_194_304, maxUsage: 6_291_456, failures: 3),
                "1GB": .init(usage: 0, maxUsage: 0, failures: 0),
            ])
    }

    @Test func hugePagesOfV2() throws {
        let cgroup = try cgroup(
            isUnified: true,
            files: [
                "hugetlb.2MB.current": "2097152", "hugetlb.2MB.events": "max 5", "hugetlb.2MB.rsvd.current": "9",
            ])
        #expect(cgroup.hugePages() == ["2MB": .init(usage: 2_097_152, maxUsage: nil, failures: 5)])
    }

    @Test func cpusetIsWhatIsInForce() throws {
        let v1 = try cgroup(
            isUnified: false,
            files: ["cpuset.effective_cpus": "0-2,5", "cpuset.effective_mems": "0", "cpuset.cpus": "0-7"])
        #expect(v1.cpuset() == .init(cpus: [0, 1, 2, 5], memoryNodes: [0]))
        let v2 = try cgroup(isUnified: true, files: ["cpuset.cpus.effective": "", "cpuset.mems.effective": "1"])
        #expect(v2.cpuset() == .init(cpus: [], memoryNodes: [1]))
    }
}

@Suite struct KernelTableTests {
    @Test func keysAreWhole() {
        let table = KernelTable(
            Array("file 1\nfile_mapped 22\nx\nfile_dirty no\nempty \nlast 18446744073709551615".utf8))
        #expect(table["file"] == 1)
        #expect(table["file_mapped"] == 22)
        #expect(table["last"] == .max)
        for missing: StaticString in ["fil", "mapped", "x", "file_dirty", "empty", ""] {
            #expect(table[missing] == nil)
        }
        #expect(KernelTable([])["file"] == nil)
    }
}
