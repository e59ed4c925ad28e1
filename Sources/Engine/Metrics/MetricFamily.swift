internal import LinuxKernel

/// A metric with the way to read it, under the names that cAdvisor gave them: dashboards and alerts know those.
struct MetricFamily: Sendable {
    struct Value: Sendable {
        var labels: [String] = []
        var value: UInt64
    }

    /// Labels that every metric has, as cAdvisor names them: cgroup, container ID, image, and Kubernetes' three names.
    static let identity = ["id", "name", "image", "container", "pod", "namespace"]

    let name: String
    let help: String
    let isCounter: Bool
    /// Labels beyond `identity`.
    let labels: [String]
    let read: @Sendable (MetricReading) -> [Value]

    var descriptor: MetricDescriptor { MetricDescriptor(name: name, help: help, labels: Self.identity + labels) }

    func samples(of reading: MetricReading) -> [MetricSample] {
        read(reading).map {
            MetricSample(
                name: name, isCounter: isCounter, timestamp: reading.timestamp, labels: reading.identity + $0.labels,
                value: $0.value)
        }
    }

    static func counter(
        _ name: String, _ help: String, labels: [String] = [],
        _ read: @escaping @Sendable (MetricReading) -> [Value]
    ) -> MetricFamily {
        MetricFamily(name: name, help: help, isCounter: true, labels: labels, read: read)
    }

    static func counter(
        _ name: String, _ help: String, value: @escaping @Sendable (MetricReading) -> UInt64?
    ) -> MetricFamily {
        counter(name, help) { reading in value(reading).map { [Value(value: $0)] } ?? [] }
    }

    static func gauge(
        _ name: String, _ help: String, labels: [String] = [],
        _ read: @escaping @Sendable (MetricReading) -> [Value]
    ) -> MetricFamily {
        MetricFamily(name: name, help: help, isCounter: false, labels: labels, read: read)
    }

    static func gauge(
        _ name: String, _ help: String, value: @escaping @Sendable (MetricReading) -> UInt64?
    ) -> MetricFamily {
        gauge(name, help) { reading in value(reading).map { [Value(value: $0)] } ?? [] }
    }
}

/// Nanoseconds to whole seconds: CRI's values are integers.
private func seconds(_ nanoseconds: UInt64) -> UInt64 { nanoseconds / 1_000_000_000 }

enum MetricCatalog {
    static let all = cpu + memory + hugepages + disk + pressure + network + processes + limits

    private static let cpu: [MetricFamily] = [
        .counter("container_cpu_usage_seconds_total", "CPU time used, in seconds.") { seconds($0.cgroup.cpu.usage) },
        .counter("container_cpu_user_seconds_total", "CPU time used in user mode, in seconds.") {
            seconds($0.cgroup.cpu.user)
        },
        .counter("container_cpu_system_seconds_total", "CPU time used in the kernel, in seconds.") {
            seconds($0.cgroup.cpu.system)
        },
        .counter("container_cpu_cfs_periods_total", "Periods of the CPU quota that have passed.") {
            $0.cgroup.cpu.periods
        },
        .counter("container_cpu_cfs_throttled_periods_total", "Periods in which the CPU quota was used up.") {
            $0.cgroup.cpu.throttledPeriods
        },
        .counter("container_cpu_cfs_throttled_seconds_total", "Time spent waiting for the CPU quota, in seconds.") {
            seconds($0.cgroup.cpu.throttledTime)
        },
    ]

    private static let memory: [MetricFamily] = [
        .gauge("container_memory_usage_bytes", "Memory in use, with all caches, in bytes.") { $0.cgroup.memory.usage },
        .gauge("container_memory_working_set_bytes", "Memory in use without inactive file cache, in bytes.") {
            $0.cgroup.memory.workingSet
        },
        .gauge("container_memory_max_usage_bytes", "The highest memory use so far, in bytes.") {
            $0.cgroup.memory.maxUsage
        },
        .gauge("container_memory_rss", "Anonymous memory, in bytes.") { $0.cgroup.memory.rss },
        .gauge("container_memory_cache", "Page cache, in bytes.") { $0.cgroup.memory.cache },
        .gauge("container_memory_swap", "Swap in use, in bytes.") { $0.cgroup.memory.swap },
        .gauge("container_memory_kernel_usage", "Kernel memory, in bytes.") { $0.cgroup.memory.kernel },
        .gauge("container_memory_mapped_file", "Memory-mapped files, in bytes.") { $0.cgroup.memory.mappedFile },
        .counter("container_memory_failcnt", "How often the memory limit was reached.") { $0.cgroup.memory.failures },
        .counter("container_oom_events_total", "How many processes were killed for want of memory.") {
            $0.cgroup.memory.oomKills
        },
        .counter(
            "container_memory_failures_total", "Page faults, by kind and scope.", labels: ["failure_type", "scope"]
        ) { reading in
            let memory = reading.cgroup.memory
            return [
                .init(labels: ["pgfault", "container"], value: memory.ownPageFaults),
                .init(labels: ["pgmajfault", "container"], value: memory.ownMajorPageFaults),
                .init(labels: ["pgfault", "hierarchy"], value: memory.pageFaults),
                .init(labels: ["pgmajfault", "hierarchy"], value: memory.majorPageFaults),
            ]
        },
    ]

    private static let hugepages: [MetricFamily] = [
        .gauge("container_hugetlb_usage_bytes", "Huge pages in use, in bytes.", labels: ["pagesize"]) { reading in
            reading.hugePages.map { .init(labels: [$0.size], value: $0.pages.usage) }
        },
        .gauge("container_hugetlb_max_usage_bytes", "The most huge pages used so far, in bytes.", labels: ["pagesize"])
        { reading in
            reading.hugePages.compactMap { size, pages in pages.maxUsage.map { .init(labels: [size], value: $0) } }
        },
    ]

    private static let pressure: [MetricFamily] =
        pressure("cpu", "CPU") { $0.cpuPressure } + pressure("memory", "memory") { $0.memoryPressure }
        + pressure("io", "input and output") { $0.ioPressure }

    private static func pressure(
        _ name: String, _ words: String, _ read: @escaping @Sendable (CgroupStatistics) -> CgroupStatistics.Pressure?
    ) -> [MetricFamily] {
        // The kernel counts microseconds.
        [
            .counter(
                "container_pressure_\(name)_waiting_seconds_total",
                "Time in which some process waited for \(words), in seconds."
            ) { read($0.cgroup).map { $0.some.total / 1_000_000 } },
            .counter(
                "container_pressure_\(name)_stalled_seconds_total",
                "Time in which every process waited for \(words), in seconds."
            ) { read($0.cgroup).map { $0.full.total / 1_000_000 } },
        ]
    }

    private static let processes: [MetricFamily] = [
        .gauge("container_processes", "Processes.") { $0.processes?.processes },
        .gauge("container_threads", "Threads.") { $0.processes == nil ? nil : $0.cgroup.pids },
        .gauge("container_threads_max", "Limit of threads; 0 for none.") {
            $0.processes == nil ? nil : $0.cgroup.pidsLimit ?? 0
        },
        .gauge("container_file_descriptors", "Open descriptors of all processes.") { $0.processes?.descriptors },
        .gauge("container_sockets", "Open sockets of all processes.") { $0.processes?.sockets },
        .gauge("container_ulimits_soft", "Soft limits of the first process.", labels: ["ulimit"]) { reading in
            reading.processes?.openFilesLimit.map { [.init(labels: ["max_open_files"], value: $0)] } ?? []
        },
        .gauge("container_start_time_seconds", "When it started, in seconds since 1970.") {
            $0.startedAt > 0 ? seconds(UInt64($0.startedAt)) : nil
        },
        .gauge("container_last_seen", "When it was last measured, in seconds since 1970.") {
            $0.processes == nil ? nil : seconds(UInt64(max(0, $0.timestamp)))
        },
    ]

    private static let limits: [MetricFamily] = [
        .gauge("container_spec_cpu_period", "Period of the CPU quota, in microseconds.") { reading in
            reading.limits.map { UInt64(clamping: $0.cpuPeriod) }
        },
        .gauge("container_spec_cpu_quota", "CPU time in each period, in microseconds; 0 for no quota.") { reading in
            reading.limits.map { UInt64(clamping: $0.cpuQuota) }
        },
        .gauge("container_spec_cpu_shares", "Share of the CPU beside others.") { reading in
            reading.limits.map { UInt64(clamping: $0.cpuShares) }
        },
        .gauge("container_spec_memory_limit_bytes", "Limit of memory, in bytes; 0 for none.") { reading in
            reading.limits.map { UInt64(clamping: $0.memoryLimit) }
        },
        .gauge("container_spec_memory_swap_limit_bytes", "Limit of memory and swap, in bytes; 0 for none.") {
            reading in reading.limits.map { UInt64(clamping: $0.memorySwapLimit) }
        },
        .gauge("container_spec_memory_reservation_limit_bytes", "Memory that is protected, in bytes; 0 for none.") {
            reading in reading.limits.map { $0.unified["memory.low"].flatMap { UInt64($0) } ?? 0 }
        },
    ]
}
