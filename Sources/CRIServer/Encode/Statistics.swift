internal import CRIAPI
internal import Engine

extension Runtime_V1_UInt64Value {
    init(_ value: UInt64) {
        self.init()
        self.value = value
    }
}

extension Runtime_V1_ContainerStats {
    init(_ stats: ContainerStatistics) {
        self.init()
        attributes = Runtime_V1_ContainerAttributes.with {
            $0.id = stats.id
            $0.metadata = Runtime_V1_ContainerMetadata(stats.metadata)
            $0.labels = stats.labels
            $0.annotations = stats.annotations
        }
        if let usage = stats.usage {
            cpu = Runtime_V1_CpuUsage(usage)
            memory = Runtime_V1_MemoryUsage(usage)
            swap = Runtime_V1_SwapUsage.with {
                $0.timestamp = usage.timestamp
                $0.swapUsageBytes = Runtime_V1_UInt64Value(usage.swapUsage)
                if let available = usage.swapAvailable { $0.swapAvailableBytes = Runtime_V1_UInt64Value(available) }
            }
            io = Runtime_V1_IoUsage(usage)
        }
        if let layer = stats.writableLayer { writableLayer = Runtime_V1_FilesystemUsage(layer) }
    }
}

extension Runtime_V1_PsiStats {
    init(_ pressure: ResourcePressure) {
        self.init()
        some = Runtime_V1_PsiData(pressure.some)
        full = Runtime_V1_PsiData(pressure.full)
    }
}

extension Runtime_V1_PsiData {
    init(_ share: ResourcePressure.Share) {
        self.init()
        total = share.total
        avg10 = share.average10
        avg60 = share.average60
        avg300 = share.average300
    }
}

extension Runtime_V1_IoUsage {
    init(_ usage: ResourceUsage) {
        self.init()
        timestamp = usage.timestamp
        if let pressure = usage.ioPressure { psi = Runtime_V1_PsiStats(pressure) }
    }
}

extension Runtime_V1_CpuUsage {
    init(_ usage: ResourceUsage) {
        self.init()
        timestamp = usage.timestamp
        usageCoreNanoSeconds = Runtime_V1_UInt64Value(usage.cpuNanoseconds)
        if let rate = usage.cpuNanoCores { usageNanoCores = Runtime_V1_UInt64Value(rate) }
        if let pressure = usage.cpuPressure { psi = Runtime_V1_PsiStats(pressure) }
    }
}

extension Runtime_V1_MemoryUsage {
    init(_ usage: ResourceUsage) {
        self.init()
        timestamp = usage.timestamp
        workingSetBytes = Runtime_V1_UInt64Value(usage.memoryWorkingSet)
        usageBytes = Runtime_V1_UInt64Value(usage.memoryUsage)
        rssBytes = Runtime_V1_UInt64Value(usage.memoryRSS)
        pageFaults = Runtime_V1_UInt64Value(usage.pageFaults)
        majorPageFaults = Runtime_V1_UInt64Value(usage.majorPageFaults)
        if let available = usage.memoryAvailable { availableBytes = Runtime_V1_UInt64Value(available) }
        if let pressure = usage.memoryPressure { psi = Runtime_V1_PsiStats(pressure) }
    }
}

extension Runtime_V1_FilesystemUsage {
    init(_ usage: FilesystemUsage) {
        self.init()
        timestamp = usage.timestamp
        fsID = Runtime_V1_FilesystemIdentifier.with { $0.mountpoint = usage.mountpoint }
        usedBytes = Runtime_V1_UInt64Value(usage.usedBytes)
        inodesUsed = Runtime_V1_UInt64Value(usage.inodes)
    }
}

extension Runtime_V1_PodSandboxStats {
    init(_ stats: PodStatistics) {
        self.init()
        attributes = Runtime_V1_PodSandboxAttributes.with {
            $0.id = stats.id
            $0.metadata = Runtime_V1_PodSandboxMetadata(stats.metadata)
            $0.labels = stats.labels
            $0.annotations = stats.annotations
        }
        linux = Runtime_V1_LinuxPodSandboxStats.with { linux in
            if let usage = stats.usage {
                linux.cpu = Runtime_V1_CpuUsage(usage)
                linux.memory = Runtime_V1_MemoryUsage(usage)
                linux.io = Runtime_V1_IoUsage(usage)
                linux.process = Runtime_V1_ProcessUsage.with {
                    $0.timestamp = usage.timestamp
                    $0.processCount = Runtime_V1_UInt64Value(usage.processes)
                }
            }
            if let network = stats.network { linux.network = Runtime_V1_NetworkUsage(network) }
            linux.containers = stats.containers.map(Runtime_V1_ContainerStats.init)
        }
    }
}

extension Runtime_V1_NetworkUsage {
    init(_ usage: NetworkUsage) {
        self.init()
        timestamp = usage.timestamp
        let items = usage.interfaces.map(Runtime_V1_NetworkInterfaceUsage.init)
        if let first = items.first { defaultInterface = first }
        interfaces = Array(items.dropFirst())
    }
}

extension Runtime_V1_NetworkInterfaceUsage {
    init(_ interface: NetworkUsage.Interface) {
        self.init()
        name = interface.name
        rxBytes = Runtime_V1_UInt64Value(interface.receivedBytes)
        rxErrors = Runtime_V1_UInt64Value(interface.receiveErrors)
        txBytes = Runtime_V1_UInt64Value(interface.sentBytes)
        txErrors = Runtime_V1_UInt64Value(interface.sendErrors)
    }
}
