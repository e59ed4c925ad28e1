internal import LinuxKernel
internal import SystemPackage

/// Metrics with one value for each disk or interface.
extension MetricCatalog {
    static let disk: [MetricFamily] = [
        devices("container_fs_reads_bytes_total", "Bytes read.") { $0.readBytes },
        devices("container_fs_reads_total", "Read requests.") { $0.readOperations },
        devices("container_fs_writes_bytes_total", "Bytes written.") { $0.writeBytes },
        devices("container_fs_writes_total", "Write requests.") { $0.writeOperations },
        .counter(
            "container_blkio_device_usage_total", "Bytes read and written, by device.",
            labels: ["device", "major", "minor", "operation"]
        ) { reading in
            reading.cgroup.devices.flatMap { device -> [MetricFamily.Value] in
                let place = [BlockDevices.path(device), "\(device.major)", "\(device.minor)"]
                return [
                    .init(labels: place + ["Read"], value: device.readBytes),
                    .init(labels: place + ["Write"], value: device.writeBytes),
                ]
            }
        },
        filesystem("container_fs_usage_bytes", "Size of the writable layer, in bytes.") { $0.usedBytes },
        filesystem("container_fs_limit_bytes", "Size of the writable layer's filesystem, in bytes.") { $0.capacity },
        filesystem("container_fs_inodes_total", "Inodes of the writable layer's filesystem.") { $0.inodes },
        filesystem("container_fs_inodes_free", "Free inodes of the writable layer's filesystem.") { $0.freeInodes },
    ]

    static let network: [MetricFamily] = [
        interfaces("container_network_receive_bytes_total", "Bytes received.") { $0.receivedBytes },
        interfaces("container_network_receive_packets_total", "Packets received.") { $0.receivedPackets },
        interfaces("container_network_receive_packets_dropped_total", "Packets dropped while receiving.") {
            $0.receiveDropped
        },
        interfaces("container_network_receive_errors_total", "Errors while receiving.") { $0.receiveErrors },
        interfaces("container_network_transmit_bytes_total", "Bytes sent.") { $0.sentBytes },
        interfaces("container_network_transmit_packets_total", "Packets sent.") { $0.sentPackets },
        interfaces("container_network_transmit_packets_dropped_total", "Packets dropped while sending.") {
            $0.sendDropped
        },
        interfaces("container_network_transmit_errors_total", "Errors while sending.") { $0.sendErrors },
    ]

    private static func devices(
        _ name: String, _ help: String, _ value: @escaping @Sendable (CgroupStatistics.Device) -> UInt64
    ) -> MetricFamily {
        .counter(name, help, labels: ["device"]) { reading in
            reading.cgroup.devices.map { .init(labels: [BlockDevices.path($0)], value: value($0)) }
        }
    }

    private static func filesystem(
        _ name: String, _ help: String, _ value: @escaping @Sendable (MetricReading.FilesystemFigures) -> UInt64
    ) -> MetricFamily {
        .gauge(name, help, labels: ["device"]) { reading in
            reading.filesystem.map { [.init(labels: [$0.device], value: value($0))] } ?? []
        }
    }

    private static func interfaces(
        _ name: String, _ help: String, _ value: @escaping @Sendable (NetworkUsage.Interface) -> UInt64
    ) -> MetricFamily {
        .counter(name, help, labels: ["interface"]) { reading in
            reading.network.map { .init(labels: [$0.name], value: value($0)) }
        }
    }
}

/// Names of block devices, which cgroups know by number.
enum BlockDevices {
    static func path(_ device: CgroupStatistics.Device) -> String {
        path(major: UInt32(truncatingIfNeeded: device.major), minor: UInt32(truncatingIfNeeded: device.minor))
    }

    /// - Parameter number: as stat(2) tells it, in the encoding of makedev(3).
    static func path(number: UInt64) -> String {
        let major = (number >> 8 & 0xfff) | (number >> 32 & 0xffff_f000)
        let minor = (number & 0xff) | (number >> 12 & 0xffff_ff00)
        return path(major: UInt32(truncatingIfNeeded: major), minor: UInt32(truncatingIfNeeded: minor))
    }

    /// `/dev/sda`; `MAJOR:MINOR` where the kernel has no name for it.
    static func path(major: UInt32, minor: UInt32) -> String {
        let number = "\(major):\(minor)"
        guard let link = try? Syscall.readlinkat(FilePath("/sys/dev/block/\(number)")),
            let name = link.split(separator: "/").last
        else { return number }
        return "/dev/\(name)"
    }
}
