internal import Core
internal import Glibc
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// Every metric that ``podMetrics(_:)`` can hold.
    public static let metricDescriptors = MetricCatalog.all.map(\.descriptor)

    /// What each ready pod and its running containers use now. Waits for no lifecycle call.
    public func podMetrics(_ filter: PodFilter = PodFilter()) async -> [PodMetrics] {
        var result: [PodMetrics] = []
        for pod in podSandboxes(filter) where pod.state.isReady {
            var containers: [(id: String, samples: [MetricSample])] = []
            for container in registry.containers(in: pod.id) where container.state.isRunning {
                guard let reading = await reading(of: container, in: pod) else { continue }
                containers.append((container.id, MetricCatalog.all.flatMap { $0.samples(of: reading) }))
            }
            let reading = await reading(of: pod)
            result.append(
                PodMetrics(
                    podID: pod.id, samples: MetricCatalog.all.flatMap { $0.samples(of: reading) },
                    containers: containers))
        }
        return result
    }

    private func reading(of pod: PodSandbox) async -> MetricReading {
        let metadata = pod.config.metadata
        var reading = MetricReading(
            identity: [pod.cgroup, pod.id, "", "", metadata.name, metadata.namespace], timestamp: WallClock.now())
        let cgroup = Cgroup(host: facts.cgroups, path: pod.cgroup)
        if let statistics = try? cgroup.statistics() { reading.cgroup = statistics }
        reading.hugePages = cgroup.hugePages().sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        reading.network = await networkUsage(of: pod)?.interfaces ?? []
        return reading
    }

    private func reading(of container: Container, in pod: PodSandbox) async -> MetricReading? {
        let cgroup = Cgroup(host: facts.cgroups, path: container.cgroup)
        guard let statistics = try? cgroup.statistics() else { return nil }
        let metadata = pod.config.metadata
        let request = container.config.image
        var reading = MetricReading(
            identity: [
                container.cgroup, container.id,
                request.userSpecifiedImage.isEmpty ? request.image : request.userSpecifiedImage,
                container.config.metadata.name, metadata.name, metadata.namespace,
            ], timestamp: WallClock.now())
        reading.cgroup = statistics
        reading.hugePages = cgroup.hugePages().sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        reading.processes = ProcessCount.figures(of: cgroup, first: container.process?.pid)
        reading.limits = container.resources
        if case .running(let started) = container.state { reading.startedAt = started }
        let layer = await self.statistics(of: container).writableLayer
        reading.filesystem = filesystemFigures(used: layer?.usedBytes ?? 0)
        return reading
    }

    private func filesystemFigures(used: UInt64) -> MetricReading.FilesystemFigures? {
        let path = configuration.root.appending("snapshots")
        guard let directory = try? Syscall.open(path, [.path, .directory]) else { return nil }
        defer { directory.close() }
        var status = statvfs()
        guard fstatvfs(directory.rawValue, &status) == 0, let file = try? Syscall.fstat(directory.fd)
        else { return nil }
        return MetricReading.FilesystemFigures(
            usedBytes: used, capacity: UInt64(status.f_blocks) * UInt64(status.f_frsize),
            inodes: UInt64(status.f_files), freeInodes: UInt64(status.f_ffree),
            device: BlockDevices.path(number: file.device))
    }
}

/// Counts what the processes of a cgroup hold open. A container with very many of them is not counted to the end: what
/// is told then is a lower bound.
enum ProcessCount {
    private static let processLimit = 1024
    private static let descriptorLimit = 65_536

    static func figures(of cgroup: Cgroup, first: Int32?) -> MetricReading.ProcessFigures {
        let pids = (try? cgroup.pids(recursive: true)) ?? []
        var figures = MetricReading.ProcessFigures(processes: UInt64(pids.count))
        for pid in pids.prefix(processLimit) where figures.descriptors < descriptorLimit {
            let directory = FilePath("/proc/\(pid)/fd")
            // A process may end while we look.
            guard let open = try? Files.list(directory) else { continue }
            figures.descriptors += UInt64(open.count)
            for name in open {
                guard let target = try? Syscall.readlinkat(directory.appending(name)) else { continue }
                if target.hasPrefix("socket:") { figures.sockets += 1 }
            }
        }
        if let first { figures.openFilesLimit = openFilesLimit(of: first) }
        return figures
    }

    /// "Max open files" of /proc/PID/limits (proc(5)); `nil` for unlimited.
    private static func openFilesLimit(of pid: Int32) -> UInt64? {
        let text = (try? Files.readText(FilePath("/proc/\(pid)/limits"))) ?? ""
        let name = "Max open files"
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        return line.dropFirst(name.count).split(separator: " ").first.flatMap { UInt64($0) }
    }
}
