internal import Core
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

/// Compiles a container of a pod into a runtime-spec configuration. Pure: everything that has to be looked up on the host
/// or in the image comes in as a value.
struct SpecBuilder {
    let containerID: String
    let pod: PodSandbox
    let config: ContainerConfig
    let image: ImageConfig.Execution
    let user: ContainerUser
    /// For `HOME`, where neither image nor config set it.
    let home: String
    let layout: StateLayout
    let cgroup: String
    let host: SpecHost
    /// The namespace file of the target container, with `pid == .target`.
    var targetPIDNamespace: String?
    /// What the container's seccomp profile says; `nil` for none.
    var seccomp: RuntimeSpec.Linux.Seccomp?
    /// The name of the container's AppArmor profile; `nil` for none.
    var apparmor: String?
    /// The container's; `nil` without SELinux.
    var selinux: SELinuxLabels?
    /// Nodes for `config.devices`, and for a privileged container all of the host's.
    var devices: [HostDevice] = []
    /// What devices of the Container Device Interface add, but for their nodes, which are in `devices`.
    var cdi = CDIEdits()
    /// Names of annotations that are passed on; `*` at the end stands for the rest.
    var passedAnnotations: [String] = []
    /// What is bound for each mount of an image, by the mount's index.
    var imageMounts: [Int: FilePath] = [:]
    /// What the image declares and nothing else is mounted on.
    var volumes: [ImageVolume] = []

    func build() throws -> RuntimeSpec {
        var spec = RuntimeSpec()
        spec.process = try process()
        spec.root = RuntimeSpec.Root(
            path: layout.rootFS(of: containerID).string, readonly: config.security.readonlyRootfs)
        spec.mounts = try mounts()
        spec.annotations = annotations()
        spec.linux = linux()
        spec.hooks = try cdi.specificationHooks()
        try spec.validate()
        return spec
    }

    private var security: ContainerSecurityContext { config.security }

    // MARK: Process

    private func process() throws -> RuntimeSpec.Process {
        var process = RuntimeSpec.Process()
        process.terminal = config.terminal
        let added = (cdi.additionalGids ?? []).filter { !user.additionalGIDs.contains($0) }
        process.user = RuntimeSpec.Process.User(
            uid: user.uid, gid: user.gid, additionalGids: user.additionalGIDs + added)
        process.args = try arguments()
        process.env = environment()
        process.cwd = workingDirectory()
        process.capabilities = try CapabilitySet(security, host: host).specification
        process.noNewPrivileges = security.noNewPrivileges
        process.oomScoreAdj = Int(clamping: min(max(resources.oomScoreAdjustment, -1000), 1000))
        process.apparmorProfile = apparmor
        if let label = selinux?.process, !label.isEmpty { process.selinuxLabel = label }
        return process
    }

    /// As Kubernetes defines it: a command of the config replaces entry point and command of the image, arguments alone
    /// replace only the image's command.
    private func arguments() throws -> [String] {
        var arguments = config.command
        if arguments.isEmpty {
            arguments = (image.entrypoint ?? []) + (config.arguments.isEmpty ? image.cmd ?? [] : config.arguments)
        } else {
            arguments += config.arguments
        }
        guard !arguments.isEmpty else {
            throw BerthError(
                .invalidArgument,
                "neither config.command nor config.args nor the image \"\(config.image.image)\" names a command")
        }
        return arguments
    }

    private func environment() -> [String] {
        var variables = OrderedVariables()
        variables.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        variables.set("HOSTNAME", Engine.hostname(of: pod))
        if config.terminal { variables.set("TERM", "xterm") }
        variables.set("HOME", home)
        for entry in image.env ?? [] {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { continue }
            variables.set(String(parts[0]), String(parts[1]))
        }
        for variable in config.environment { variables.set(variable.name, variable.value) }
        for entry in cdi.env ?? [] {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables.set(String(parts[0]), String(parts[1])) }
        }
        return variables.list
    }

    private func workingDirectory() -> String {
        let directory = config.workingDirectory.isEmpty ? image.workingDir ?? "" : config.workingDirectory
        return directory.hasPrefix("/") ? directory : "/\(directory)"
    }

    private func annotations() -> [String: String] {
        var annotations = [
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.container-name": config.metadata.name,
            "io.kubernetes.cri.sandbox-id": pod.id,
            "io.kubernetes.cri.sandbox-name": pod.config.metadata.name,
            "io.kubernetes.cri.sandbox-namespace": pod.config.metadata.namespace,
            "io.kubernetes.cri.sandbox-uid": pod.config.metadata.uid,
            "io.kubernetes.cri.image-name": config.image.image,
        ]
        annotations = annotations.filter { !$0.value.isEmpty }
        // The container's own before the pod's; nobody names himself another pod.
        let asked = pod.config.annotations.merging(config.annotations) { $1 }.filter { passes($0.key) }
        return asked.merging(annotations) { $1 }
    }

    private func passes(_ name: String) -> Bool {
        passedAnnotations.contains { pattern in
            pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
        }
    }

    // MARK: Linux

    private var resources: LinuxResources { config.resources ?? LinuxResources() }

    private func linux() -> RuntimeSpec.Linux {
        var linux = RuntimeSpec.Linux()
        linux.cgroupsPath = cgroup
        linux.namespaces = namespaces()
        if let user = pod.userNamespace {
            linux.uidMappings = user.uids.map(RuntimeSpec.IDMapping.init)
            linux.gidMappings = user.gids.map(RuntimeSpec.IDMapping.init)
        }
        linux.resources = ResourceTranslation.ofContainer(resources, on: host)
        linux.resources?.devices = deviceRules()
        linux.devices = devices.isEmpty ? nil : devices.map(\.specification)
        linux.seccomp = seccomp
        linux.rootfsPropagation = rootPropagation()
        linux.mountLabel = selinux?.files
        if !security.privileged {
            linux.maskedPaths = security.maskedPaths.isEmpty ? host.maskedPaths : security.maskedPaths
            linux.readonlyPaths = security.readonlyPaths.isEmpty ? host.readonlyPaths : security.readonlyPaths
        }
        return linux
    }

    private func namespaces() -> [RuntimeSpec.Linux.Namespace] {
        typealias Namespace = RuntimeSpec.Linux.Namespace
        func pinned(_ name: String) -> String { layout.namespace(name, ofPod: pod.id).string }
        let shared = pod.config.security.namespaces
        var namespaces = [Namespace(type: "mount")]
        // The pod's namespace is the host's where the pod has no other.
        let mode = security.namespaces.pid
        switch mode == .pod && shared.pid == .node ? .node : mode {
        case .container: namespaces.append(Namespace(type: "pid"))
        case .pod: namespaces.append(Namespace(type: "pid", path: pinned("pid")))
        case .target: namespaces.append(Namespace(type: "pid", path: targetPIDNamespace))
        case .node: break
        }
        if pod.userNamespace != nil { namespaces.append(Namespace(type: "user", path: pinned("user"))) }
        if shared.ipc == .pod { namespaces.append(Namespace(type: "ipc", path: pinned("ipc"))) }
        if shared.network == .pod {
            namespaces.append(Namespace(type: "network", path: pinned("net")))
            namespaces.append(Namespace(type: "uts", path: pinned("uts")))
        }
        // As the field does: a cgroup namespace where there is one tree to show.
        if host.hasUnifiedCgroups, !security.privileged { namespaces.append(Namespace(type: "cgroup")) }
        return namespaces
    }

    private func deviceRules() -> [RuntimeSpec.Linux.Resources.DeviceRule] {
        typealias Rule = RuntimeSpec.Linux.Resources.DeviceRule
        if security.privileged { return [Rule(allow: true, access: "rwm")] }
        return [Rule(allow: false, access: "rwm")] + devices.map(\.rule)
    }

    private func rootPropagation() -> String? {
        if config.mounts.contains(where: { $0.propagation == .bidirectional }) { return "rshared" }
        if config.mounts.contains(where: { $0.propagation == .hostToContainer }) { return "rslave" }
        return nil
    }

    // MARK: Mounts

    private func mounts() throws -> [RuntimeSpec.Mount] {
        let asked = try config.mounts.enumerated().map { index, mount in
            try specification(of: mount, image: imageMounts[index], field: "config.mounts[\(index)]")
        }
        let added = try cdi.specificationMounts()
        let taken = Set((asked + added).map(\.destination))
        let own = (standardMounts() + podFiles()).filter { !taken.contains($0.destination) }
        let served = taken.union(own.map(\.destination))
        let declared = volumes.filter { !served.contains($0.destination) }.map(volumeMount)
        let all = own + declared + asked + added
        // Parents before what is mounted inside them; otherwise in the order given.
        return all.enumerated().sorted { a, b in
            (depth(a.element), a.offset) < (depth(b.element), b.offset)
        }.map(\.element)
    }

    /// With the ids of the pod's user namespace: what was copied from the image has those of the image.
    private func volumeMount(_ volume: ImageVolume) -> RuntimeSpec.Mount {
        var mount = volume.mount
        if let user = pod.userNamespace {
            mount.uidMappings = user.uids.map(RuntimeSpec.IDMapping.init)
            mount.gidMappings = user.gids.map(RuntimeSpec.IDMapping.init)
        }
        return mount
    }

    private func depth(_ mount: RuntimeSpec.Mount) -> Int {
        FilePath(mount.destination).components.count
    }

    private func standardMounts() -> [RuntimeSpec.Mount] {
        typealias Mount = RuntimeSpec.Mount
        let access = security.privileged ? "rw" : "ro"
        let shared =
            pod.config.security.namespaces.ipc == .pod ? layout.sharedMemory(ofPod: pod.id).string : "/dev/shm"
        return [
            Mount(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            Mount(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            Mount(destination: "/dev/shm", type: "bind", source: shared, options: ["rbind", "rw"]),
            Mount(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            sysfs(access),
            Mount(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", access]),
        ]
    }

    /// A sysfs shows a network namespace, whose owner alone may mount it: to a user namespace with the host's network the host's is
    /// bound, with nothing in it writable.
    private func sysfs(_ access: String) -> RuntimeSpec.Mount {
        let options = ["nosuid", "noexec", "nodev"]
        guard pod.userNamespace != nil, pod.hasHostNetwork else {
            return .init(destination: "/sys", type: "sysfs", source: "sysfs", options: options + [access])
        }
        let readOnly = host.hasRecursiveReadonlyMounts ? "rro" : "ro"
        return .init(
            destination: "/sys", type: "bind", source: "/sys", options: ["rbind", "rprivate"] + options + [readOnly])
    }

    private func podFiles() -> [RuntimeSpec.Mount] {
        let access = security.readonlyRootfs ? "ro" : "rw"
        return [
            ("/etc/hosts", layout.hosts(ofPod: pod.id)), ("/etc/hostname", layout.hostname(ofPod: pod.id)),
            ("/etc/resolv.conf", layout.resolvConf(ofPod: pod.id)),
        ].map {
            RuntimeSpec.Mount(destination: $0, type: "bind", source: $1.string, options: ["rbind", "rprivate", access])
        }
    }

    private func specification(
        of mount: ContainerMount, image: FilePath?, field: String
    ) throws -> RuntimeSpec.Mount {
        guard mount.image == nil || image != nil else {
            throw BerthError(.internal, "\(field).image was not mounted")
        }
        if image == nil { try PodValidation.absolute(mount.hostPath, field: "\(field).host_path") }
        let destination = FilePath(mount.containerPath.hasPrefix("/") ? mount.containerPath : "/\(mount.containerPath)")
            .lexicallyNormalized()
        guard !destination.components.isEmpty else {
            throw BerthError.invalid(
                field: "\(field).container_path", value: mount.containerPath, rule: "is the root itself")
        }
        var options = ["rbind"]
        switch mount.propagation {
        case .private: options.append("rprivate")
        case .hostToContainer: options.append("rslave")
        case .bidirectional: options.append("rshared")
        }
        options.append(mount.recursiveReadonly ? "rro" : mount.readonly ? "ro" : "rw")
        for option in mount.options {
            guard Self.mountOptions.contains(option) else {
                throw BerthError.invalid(
                    field: "\(field).mount_options", value: option,
                    rule: "must be one of \(Self.mountOptions.sorted().joined(separator: ", "))")
            }
            options.append(option)
        }
        var result = RuntimeSpec.Mount(
            destination: destination.string, type: "bind", source: image?.string ?? mount.hostPath, options: options)
        // An image's files have the container's ids already: overlayfs cannot be mapped, its layers were.
        if image == nil, !(mount.uidMappings.isEmpty && mount.gidMappings.isEmpty) {
            result.uidMappings = mount.uidMappings.map(RuntimeSpec.IDMapping.init)
            result.gidMappings = mount.gidMappings.map(RuntimeSpec.IDMapping.init)
        }
        return result
    }

    private static let mountOptions: Set<String> = [
        "noexec", "nosuid", "nodev", "exec", "suid", "dev", "noatime", "relatime", "nodiratime", "strictatime",
    ]
}

/// Environment variables in the order of their first setting.
private struct OrderedVariables {
    private var names: [String] = []
    private var values: [String: String] = [:]

    mutating func set(_ name: String, _ value: String) {
        if values.updateValue(value, forKey: name) == nil { names.append(name) }
    }

    var list: [String] { names.map { "\($0)=\(values[$0] ?? "")" } }
}

extension RuntimeSpec.IDMapping {
    init(_ mapping: IDMapping) {
        self.init(containerID: mapping.containerID, hostID: mapping.hostID, size: mapping.size)
    }
}
