internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

extension Engine {
    public func containerStatistics(_ filter: ContainerFilter = ContainerFilter()) async -> [ContainerStatistics] {
        var result: [ContainerStatistics] = []
        for container in containers(filter) where container.state.isRunning {
            result.append(await statistics(of: container))
        }
        return result
    }

    public func statistics(of container: Container) async -> ContainerStatistics {
        var statistics = ContainerStatistics(
            id: container.id, metadata: container.config.metadata, labels: container.labels,
            annotations: container.config.annotations)
        guard let entry = live[container.id] else { return statistics }
        statistics.usage = usage(of: container.cgroup, samples: entry.cpuSamples)
        statistics.writableLayer = await entry.layerUsage {
            guard var usage = try? await images.rootFSUsage(containerID: container.id) else { return nil }
            // Written by the container and gone with it, as its layer: a kubelet is to evict for it, too.
            if let volumes = try? await volumesUsage(of: container.id) {
                usage.bytes += volumes.bytes
                usage.inodes += volumes.inodes
            }
            return FilesystemUsage(
                timestamp: WallClock.now(), mountpoint: configuration.root.appending("snapshots").string,
                usedBytes: UInt64(clamping: usage.bytes), inodes: UInt64(clamping: usage.inodes))
        }
        return statistics
    }

    public func podStatistics(_ filter: PodFilter = PodFilter()) async -> [PodStatistics] {
        var result: [PodStatistics] = []
        for pod in podSandboxes(filter) where pod.state.isReady {
            result.append(await statistics(of: pod))
        }
        return result
    }

    public func statistics(of pod: PodSandbox) async -> PodStatistics {
        var statistics = PodStatistics(
            id: pod.id, metadata: pod.config.metadata, labels: pod.labels, annotations: pod.config.annotations,
            containers: [])
        guard pod.state.isReady else { return statistics }
        statistics.usage = usage(of: pod.cgroup, samples: podSamples[pod.id])
        statistics.network = await networkUsage(of: pod)
        for container in registry.containers(in: pod.id) where container.state.isRunning {
            statistics.containers.append(await self.statistics(of: container))
        }
        return statistics
    }

    private func usage(of path: String, samples: CPUSamples) -> ResourceUsage? {
        let cgroup = Cgroup(host: facts.cgroups, path: path)
        guard cgroup.exists, let statistics = try? cgroup.statistics() else { return nil }
        var usage = ResourceUsage(timestamp: WallClock.now())
        usage.cpuNanoseconds = statistics.cpu.usage
        usage.cpuNanoCores = samples.rate(at: usage.timestamp, used: statistics.cpu.usage)
        usage.memoryUsage = statistics.memory.usage
        usage.memoryWorkingSet = statistics.memory.workingSet
        usage.memoryRSS = statistics.memory.rss
        usage.pageFaults = statistics.memory.pageFaults
        usage.majorPageFaults = statistics.memory.majorPageFaults
        usage.memoryAvailable = statistics.memory.limit.map {
            $0 > usage.memoryWorkingSet ? $0 - usage.memoryWorkingSet : 0
        }
        usage.swapUsage = statistics.memory.swap
        usage.swapAvailable = statistics.memory.swapLimit.map {
            $0 > statistics.memory.swap ? $0 - statistics.memory.swap : 0
        }
        usage.processes = statistics.pids
        usage.cpuPressure = statistics.cpuPressure.map(ResourcePressure.init)
        usage.memoryPressure = statistics.memoryPressure.map(ResourcePressure.init)
        usage.ioPressure = statistics.ioPressure.map(ResourcePressure.init)
        return usage
    }

    /// /proc/net/dev of the pod's network namespace, read by a thread that has joined it.
    func networkUsage(of pod: PodSandbox) async -> NetworkUsage? {
        guard !pod.hasHostNetwork,
            let namespace = try? Syscall.open(layout.namespace("net", ofPod: pod.id), [.readOnly])
        else { return nil }
        defer { namespace.close() }
        let text = try? await NamespaceThread.run(in: namespace.fd, type: .network) {
            try Files.readText("/proc/thread-self/net/dev")
        }
        return text.map { NetworkUsage(timestamp: WallClock.now(), interfaces: NetworkDeviceTable.parse($0)) }
    }
}

/// The table of /proc/net/dev (proc_pid_net(5)): two heading lines, then `NAME: 16 numbers`.
enum NetworkDeviceTable {
    static func parse(_ text: String) -> [NetworkUsage.Interface] {
        let interfaces = text.split(separator: "\n").dropFirst(2).compactMap { line -> NetworkUsage.Interface? in
            guard let colon = line.lastIndex(of: ":") else { return nil }
            let name = line[..<colon].trimmed
            let numbers = line[line.index(after: colon)...].split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count >= 12, name != "lo" else { return nil }
            return NetworkUsage.Interface(
                name: name, receivedBytes: numbers[0], receiveErrors: numbers[2], sentBytes: numbers[8],
                sendErrors: numbers[10], receivedPackets: numbers[1], receiveDropped: numbers[3],
                sentPackets: numbers[9], sendDropped: numbers[11])
        }
        let main = interfaces.filter { $0.name == "eth0" }
        return main + interfaces.filter { $0.name != "eth0" }.sorted { $0.name < $1.name }
    }
}

extension ResourcePressure {
    init(_ pressure: CgroupStatistics.Pressure) {
        self.init()
        some = Share(pressure.some)
        full = Share(pressure.full)
    }
}

extension ResourcePressure.Share {
    /// The kernel's total is in microseconds.
    init(_ line: CgroupStatistics.Pressure.Line) {
        self.init()
        average10 = line.average10
        average60 = line.average60
        average300 = line.average300
        total = line.total.multipliedReportingOverflow(by: 1000).partialValue
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
