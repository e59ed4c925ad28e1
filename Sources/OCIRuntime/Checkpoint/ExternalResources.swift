internal import CheckpointAPI
internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Mounts whose source is the host's: CRIU leaves them out of the images, and is told their source again.
struct ExternalMounts {
    /// By destination in the container: the host's path.
    private var binds: [(destination: String, source: String)] = []
    private let maskedPaths: [String]

    init(_ spec: RuntimeSpec, cgroup: ContainerCgroup, bundle: FilePath = "/") {
        let namespaces = spec.linux?.namespaces ?? []
        maskedPaths = spec.linux?.maskedPaths ?? []
        for mount in spec.mounts ?? [] {
            let destination = FilePath("/").pushing(FilePath(mount.destination)).lexicallyNormalized().string
            if MountOptions(mount).isBind {
                binds.append((destination, mount.sourcePath(in: bundle).lexicallyNormalized().string))
            } else if mount.type == "cgroup", cgroup.host.layout != .unified,
                !namespaces.contains(where: { $0.type == "cgroup" })
            {
                // Without a cgroup namespace each hierarchy is a bind mount of the container's own directory.
                for directory in cgroup.cgroup.directories {
                    let name = directory.hierarchy.mountpoint.lastComponent?.string ?? "unified"
                    binds.append(("\(destination)/\(name)", directory.path.string))
                }
            }
        }
        guard namespaces.contains(where: { $0.type == "user" }) else { return }
        // In a user namespace devices are bound from the host.
        for device in ContainerCompilation.defaultDevices + (spec.linux?.devices ?? []) where device.type != "p" {
            binds.append((device.path, device.path))
        }
    }

    /// Masked files are bind mounts of the host's /dev/null.
    func dumped(pid: Int32) -> [String] {
        let masks = maskedPaths.filter { path in
            guard
                let status = try? Syscall.stat(
                    FilePath("/proc/\(pid)/root").pushing(FilePath(root: nil, FilePath(path).components)))
            else { return false }
            return status.kind != .directory
        }
        return binds.map { "mnt[\($0.destination)]:\($0.destination)" } + masks.map { "mnt[\($0)]:/dev/null" }
    }

    func restored() -> [String] {
        binds.map { "mnt[\($0.destination)]:\($0.source)" }
            + (maskedPaths.isEmpty ? [] : ["mnt[/dev/null]:/dev/null"])
    }
}

/// Network and PID namespaces that the container joined: they are there when it is restored.
enum ExternalNamespaces {
    static let kinds: [(type: String, kernel: String, key: String)] = [
        ("network", "net", "extRootNetNS"), ("pid", "pid", "extRootPidNS"),
    ]

    static func dumped(_ spec: RuntimeSpec) throws -> [String] {
        try kinds.compactMap { kind in
            guard let path = path(kind.type, spec) else { return nil }
            let status: FileStatus
            do {
                status = try Syscall.stat(path, follow: true)
            } catch {
                throw BerthError(.failedPrecondition, "config.json: linux.namespaces: \(path)", cause: error)
            }
            return "\(kind.kernel)[\(status.inode)]:\(kind.key)"
        }
    }

    /// Opened, each with its key.
    static func opened(_ spec: RuntimeSpec) throws -> [(key: String, file: OwnedDescriptor)] {
        try kinds.compactMap { kind in
            guard let path = path(kind.type, spec) else { return nil }
            do {
                return (kind.key, try Syscall.open(path, [.readOnly]))
            } catch {
                throw BerthError(.failedPrecondition, "config.json: linux.namespaces: \(path)", cause: error)
            }
        }
    }

    /// Those that CRIU joins by itself.
    static func joined(_ spec: RuntimeSpec) throws -> [Berth_Checkpoint_V1_JoinedNamespace] {
        try (spec.linux?.namespaces ?? []).compactMap { namespace in
            guard let path = namespace.path, !path.isEmpty, !kinds.contains(where: { $0.type == namespace.type }),
                let type = NamespaceTypes(specName: namespace.type)
            else { return nil }
            guard type != .cgroup else {
                throw BerthError(
                    .unimplemented, "config.json: linux.namespaces: criu cannot restore into a cgroup namespace")
            }
            return .with {
                $0.type = type.procName
                $0.path = path
            }
        }
    }

    private static func path(_ type: String, _ spec: RuntimeSpec) -> FilePath? {
        let found = (spec.linux?.namespaces ?? []).first { $0.type == type }?.path ?? ""
        return found.isEmpty ? nil : FilePath(found)
    }
}

/// One of a process's first three descriptors.
struct StandardStream {
    /// `pipe:[12]`, `/dev/null`, `/dev/pts/0`: what the link in /proc tells.
    var name: String
    /// What is outside of the container has a name by which it is given back: `file[MOUNT:INODE]`.
    var external: String?
}

enum StandardStreams {
    static func of(_ pid: Int32) -> [StandardStream] {
        (0..<3).map { number in
            let link = FilePath("/proc/\(pid)/fd/\(number)")
            let target = (try? Syscall.readlinkat(link)) ?? ""
            guard target.hasPrefix("/"), !target.hasPrefix("/dev/pts/"),
                let status = try? Syscall.stat(link, follow: true),
                let mount = mountID(pid, number), !isInside(mount, pid)
            else { return StandardStream(name: target, external: nil) }
            let name = "file[\(String(mount, radix: 16)):\(String(status.inode, radix: 16))]"
            return StandardStream(name: name, external: name)
        }
    }

    private static func mountID(_ pid: Int32, _ number: Int) -> Int? {
        let text = (try? Files.readText(FilePath("/proc/\(pid)/fdinfo/\(number)"))) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
            .flatMap { $0.split(whereSeparator: \.isWhitespace).last }.flatMap { Int($0) }
    }

    /// Whether the mount is one of the process's own mount namespace.
    private static func isInside(_ mount: Int, _ pid: Int32) -> Bool {
        let text = (try? Files.read(FilePath("/proc/\(pid)/mountinfo"), limit: 16 << 20)) ?? []
        return String(decoding: text, as: UTF8.self).split(separator: "\n").contains {
            $0.prefix { $0 != " " } == "\(mount)"
        }
    }
}
