internal import Core
internal import LinuxKernel
internal import SystemPackage

/// Finds the device nodes of the host that a container gets.
enum HostDevices {
    /// Directories of /dev with nodes that belong to a namespace or make no sense in a container.
    private static let skipped: Set<String> = ["pts", "shm", "mqueue", "fd", "console", ".lxc", ".lxd-mounts", ".udev"]
    private static let maxDepth = 8

    static func resolve(_ config: ContainerConfig) throws -> [HostDevice] {
        var devices: [HostDevice] = []
        if config.security.privileged {
            devices += try nodes(at: "/dev", as: "/dev", access: "rwm", depth: 0)
        }
        for (index, device) in config.devices.enumerated() {
            let field = "config.devices[\(index)]"
            try PodValidation.absolute(device.hostPath, field: "\(field).host_path")
            try PodValidation.absolute(device.containerPath, field: "\(field).container_path")
            let access = device.permissions.isEmpty ? "rwm" : device.permissions
            guard access.allSatisfy({ "rwm".contains($0) }) else {
                throw BerthError.invalid(field: "\(field).permissions", value: access, rule: "must be of r, w and m")
            }
            let found = try nodes(
                at: FilePath(device.hostPath), as: FilePath(device.containerPath), access: access, depth: 0)
            guard !found.isEmpty else {
                throw BerthError.invalid(field: "\(field).host_path", value: device.hostPath, rule: "holds no device")
            }
            devices.removeAll { old in found.contains { $0.path == old.path } }
            devices += found
        }
        return devices
    }

    private static func nodes(
        at path: FilePath, as target: FilePath, access: String, depth: Int
    ) throws -> [HostDevice] {
        let status: FileStatus
        do {
            status = try Syscall.stat(path, follow: depth == 0)
        } catch {
            if depth > 0 { return [] }
            throw BerthError(.invalidArgument, "device \(path)", cause: error)
        }
        switch status.kind {
        case .characterDevice, .blockDevice:
            return [
                HostDevice(
                    path: target.string, kind: status.kind == .blockDevice ? "b" : "c",
                    major: Int64(status.deviceNumber.major), minor: Int64(status.deviceNumber.minor),
                    mode: status.permissions, uid: status.uid, gid: status.gid, access: access)
            ]
        case .directory where depth < maxDepth:
            return try ((try? Files.list(path)) ?? []).filter { !skipped.contains($0) }.flatMap {
                try nodes(at: path.appending($0), as: target.appending($0), access: access, depth: depth + 1)
            }
        default: return []
        }
    }
}
