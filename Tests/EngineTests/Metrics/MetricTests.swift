import LinuxKernel
import Testing

@testable import Engine

@Suite("Metrics") struct MetricTests {
    @Test func everyFamilyIsDescribedOnce() {
        let descriptors = Engine.metricDescriptors
        #expect(Set(descriptors.map(\.name)).count == descriptors.count)
        for descriptor in descriptors {
            #expect(descriptor.name.hasPrefix("container_"))
            #expect(!descriptor.help.isEmpty)
            #expect(Array(descriptor.labels.prefix(6)) == ["id", "name", "image", "container", "pod", "namespace"])
            #expect(Set(descriptor.labels).count == descriptor.labels.count)
        }
    }

    private func reading() -> MetricReading {
        var reading = MetricReading(identity: ["/c", "id", "box", "c", "p", "n"], timestamp: 9_000_000_000)
        reading.cgroup.cpu.usage = 3_900_000_000
        reading.cgroup.memory.usage = 100
        reading.cgroup.memory.inactiveFile = 30
        reading.cgroup.memory.oomKills = 2
        reading.cgroup.pids = 4
        var device = CgroupStatistics.Device()
        (device.major, device.minor) = (999, 7)
        (device.readBytes, device.writeBytes) = (10, 20)
        reading.cgroup.devices = [device]
        var pressure = CgroupStatistics.Pressure()
        pressure.some.total = 2_500_000
        pressure.full.total = 1_000_000
        reading.cgroup.cpuPressure = pressure
        reading.hugePages = [("2MB", .init(usage: 5, maxUsage: nil, failures: 0))]
        reading.processes = .init(processes: 3, descriptors: 12, sockets: 2, openFilesLimit: 1024)
        reading.filesystem = .init(usedBytes: 1, capacity: 2, inodes: 3, freeInodes: 4, device: "/dev/x")
        var limits = LinuxResources()
        limits.cpuQuota = -1
        limits.memoryLimit = 64
        reading.limits = limits
        reading.startedAt = 5_000_000_000
        reading.network = [.init(name: "eth0", receivedBytes: 1, receiveErrors: 2, sentBytes: 3, sendErrors: 4)]
        return reading
    }

    private func values(_ name: String, of reading: MetricReading) -> [[String]: UInt64] {
        let samples = MetricCatalog.all.flatMap { $0.samples(of: reading) }.filter { $0.name == name }
        return Dictionary(uniqueKeysWithValues: samples.map { (Array($0.labels.dropFirst(6)), $0.value) })
    }

    @Test func everySampleHasTheLabelsOfItsDescriptor() {
        let labels = Dictionary(uniqueKeysWithValues: Engine.metricDescriptors.map { ($0.name, $0.labels.count) })
        let samples = MetricCatalog.all.flatMap { $0.samples(of: reading()) }
        for sample in samples {
            #expect(sample.labels.count == labels[sample.name])
            #expect(sample.timestamp == 9_000_000_000)
            // Two of cAdvisor's names say otherwise.
            let isCounter =
                sample.name == "container_memory_failcnt"
                || sample.name.hasSuffix("_total") && sample.name != "container_fs_inodes_total"
            #expect(sample.isCounter == isCounter, "\(sample.name)")
        }
        // All but what this reading leaves out: the most huge pages, and the pressure of memory and disks.
        #expect(Set(samples.map(\.name)).count == Engine.metricDescriptors.count - 5)
    }

    @Test func valuesAreInTheUnitsOfTheirNames() {
        let reading = reading()
        #expect(values("container_cpu_usage_seconds_total", of: reading) == [[]: 3])
        #expect(values("container_memory_working_set_bytes", of: reading) == [[]: 70])
        #expect(values("container_oom_events_total", of: reading) == [[]: 2])
        #expect(values("container_pressure_cpu_waiting_seconds_total", of: reading) == [[]: 2])
        #expect(values("container_pressure_cpu_stalled_seconds_total", of: reading) == [[]: 1])
        #expect(values("container_pressure_io_stalled_seconds_total", of: reading) == [:])
        #expect(values("container_fs_writes_bytes_total", of: reading) == [["999:7"]: 20])
        #expect(
            values("container_blkio_device_usage_total", of: reading) == [
                ["999:7", "999", "7", "Read"]: 10, ["999:7", "999", "7", "Write"]: 20,
            ])
        #expect(values("container_network_transmit_bytes_total", of: reading) == [["eth0"]: 3])
        #expect(values("container_hugetlb_usage_bytes", of: reading) == [["2MB"]: 5])
        #expect(values("container_hugetlb_max_usage_bytes", of: reading) == [:])
        #expect(values("container_spec_cpu_quota", of: reading) == [[]: 0])
        #expect(values("container_spec_memory_limit_bytes", of: reading) == [[]: 64])
        #expect(values("container_start_time_seconds", of: reading) == [[]: 5])
        #expect(values("container_ulimits_soft", of: reading) == [["max_open_files"]: 1024])
    }

    @Test func aPodHasNoValuesOfSingleContainers() {
        let pod = MetricReading(identity: ["/p", "id", "", "", "p", "n"], timestamp: 1)
        let names = Set(MetricCatalog.all.flatMap { $0.samples(of: pod) }.map(\.name))
        #expect(names.contains("container_cpu_usage_seconds_total"))
        #expect(!names.contains("container_processes"))
        #expect(!names.contains("container_spec_memory_limit_bytes"))
        #expect(!names.contains("container_fs_usage_bytes"))
    }

    @Test func aBlockDeviceIsNamedByTheKernel() {
        // 1:3 is no block device; numbers stand for what has no name.
        #expect(BlockDevices.path(major: 4000, minor: 1) == "4000:1")
        #expect(BlockDevices.path(number: 0xfd01) == BlockDevices.path(major: 253, minor: 1))
        // makedev(0x1234, 0x56789): the high bits of both lie apart from the low ones.
        #expect(BlockDevices.path(number: 0x1000_5672_3489) == "4660:354185")
    }
}
