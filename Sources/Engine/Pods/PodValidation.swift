internal import Core
internal import OCIRuntime
internal import LinuxKernel
internal import Networking
internal import OCISpec
internal import SystemPackage

/// What can be refused before anything is made.
enum PodValidation {
    static func check(
        _ config: PodSandboxConfig, runtimeHandler: String, handlers: Set<String> = ["", "berth"],
        usesSystemd: Bool = false
    ) throws {
        guard handlers.contains(runtimeHandler) else {
            throw BerthError(
                .invalidArgument, "runtime handler \"\(runtimeHandler)\" does not exist",
                advice:
                    "known are the empty one and \(handlers.filter { !$0.isEmpty }.sorted().joined(separator: ", "))")
        }
        guard config.hostname.utf8.count <= 64 else {
            throw BerthError.invalid(field: "config.hostname", value: config.hostname, rule: "is longer than 64 bytes")
        }
        if !config.logDirectory.isEmpty { try absolute(config.logDirectory, field: "config.log_directory") }
        try cgroupParent(config.cgroupParent, usesSystemd: usesSystemd)
        try sysctls(config)
        _ = try PodFiles.resolvConf(config.dns)
        if config.security.namespaces.network == .node, !config.hostname.isEmpty,
            config.hostname != (try? Files.readText("/proc/sys/kernel/hostname", limit: 4096))
        {
            throw BerthError.invalid(
                field: "config.hostname", value: config.hostname,
                rule: "is not the host's, which a pod with the host's network has")
        }
        if config.security.namespaces.network == .node,
            config.portMappings.contains(where: { $0.hostPort != 0 && $0.hostPort != $0.containerPort })
        {
            throw BerthError(
                .invalidArgument, "config.port_mappings: a pod with the host's network cannot map a port to another one"
            )
        }
        try userNamespace(config.security.namespaces)
    }

    /// One mapping, from 0 on: what idmapped mounts of the pod's root filesystems and volumes are made with.
    private static func userNamespace(_ namespaces: NamespaceOptions) throws {
        guard let user = namespaces.user else { return }
        let options = "config.linux.security_context.namespace_options"
        let lists = [("uids", user.uids), ("gids", user.gids)]
        guard user.mode == .pod else {
            for (name, mappings) in lists where !mappings.isEmpty {
                throw BerthError(
                    .invalidArgument,
                    "\(options).userns_options.\(name) is set, while the pod has the host's user namespace")
            }
            return
        }
        for (name, mode) in [("pid", namespaces.pid), ("ipc", namespaces.ipc)] where mode == .node {
            throw BerthError(
                .invalidArgument, "\(options).\(name) is NODE: a pod with its own user namespace cannot have the host's"
            )
        }
        for (name, mappings) in lists {
            let field = "\(options).userns_options.\(name)"
            guard let mapping = mappings.first, mappings.count == 1 else {
                throw BerthError.invalid(field: field, value: "\(mappings.count) mappings", rule: "must be one mapping")
            }
            guard mapping.containerID == 0, mapping.size > 0 else {
                throw BerthError.invalid(
                    field: field, value: "\(mapping.containerID) with length \(mapping.size)",
                    rule: "must map the ids from 0 on")
            }
            guard UInt64(mapping.hostID) + UInt64(mapping.size) < UInt64(UInt32.max) else {
                throw BerthError.invalid(field: field, value: mapping.hostID, rule: "reaches beyond the last id")
            }
        }
        guard user.uids == user.gids else {
            throw BerthError(.invalidArgument, "\(options).userns_options: uids and gids must be mapped alike")
        }
    }

    static func absolute(_ path: String, field: String) throws {
        let parts = FilePath(path)
        guard parts.isAbsolute, !path.utf8.contains(0),
            !parts.components.contains(where: { $0.kind == .parentDirectory })
        else {
            throw BerthError.invalid(field: field, value: path, rule: "must be an absolute path without ..")
        }
    }

    private static func cgroupParent(_ parent: String, usesSystemd: Bool) throws {
        guard !parent.isEmpty else { return }
        if usesSystemd {
            // The kubelet names a slice, with or without the path to it.
            guard let name = FilePath(parent).lastComponent?.string, name.hasSuffix(".slice") else {
                throw BerthError.invalid(
                    field: "config.linux.cgroup_parent", value: parent,
                    rule: "is no slice; the cgroup driver here is systemd")
            }
            _ = try SystemdUnit.path(ofSlice: name)
            return
        }
        guard !parent.hasSuffix(".slice") || parent.hasPrefix("/") else {
            throw BerthError.invalid(
                field: "config.linux.cgroup_parent", value: parent,
                rule: "is in the systemd driver's form; the cgroup driver here is cgroupfs")
        }
        try absolute(parent.hasPrefix("/") ? parent : "/\(parent)", field: "config.linux.cgroup_parent")
    }

    /// Only sysctls that belong to a namespace of the pod: others would change the host.
    private static func sysctls(_ config: PodSandboxConfig) throws {
        for (name, value) in config.sysctls.sorted(by: { $0.key < $1.key }) {
            let field = "config.linux.sysctls[\"\(name)\"]"
            let dotted = name.replacing("/", with: ".")
            guard !dotted.contains(".."), !dotted.hasPrefix("."), !value.utf8.contains(0) else {
                throw BerthError.invalid(field: field, value: value, rule: "is not a sysctl")
            }
            let namespaces = config.security.namespaces
            if dotted.hasPrefix("net.") {
                guard namespaces.network == .pod else {
                    throw BerthError(.invalidArgument, "\(field) needs the pod's own network namespace")
                }
            } else if dotted.hasPrefix("fs.mqueue.") || dotted.hasPrefix("kernel.shm") || dotted.hasPrefix("kernel.msg")
                || dotted == "kernel.sem"
            {
                guard namespaces.ipc == .pod else {
                    throw BerthError(.invalidArgument, "\(field) needs the pod's own IPC namespace")
                }
            } else {
                throw BerthError(
                    .invalidArgument, "\(field) is not a namespaced sysctl: it would change the whole host",
                    advice: "net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem are")
            }
        }
    }
}

extension PodSandbox {
    /// What the network is asked for this pod; the same at set-up and tear-down.
    func networkRequest(_ layout: StateLayout) throws -> PodNetworkRequest {
        PodNetworkRequest(
            podID: id, name: config.metadata.name, namespace: config.metadata.namespace, uid: config.metadata.uid,
            networkNamespace: layout.namespace("net", ofPod: id),
            portMappings: try config.portMappings.filter { $0.hostPort != 0 }.map { mapping in
                PortMapping(
                    hostPort: mapping.hostPort, containerPort: mapping.containerPort,
                    protocol: .init(rawValue: mapping.transport.rawValue) ?? .tcp,
                    hostIP: mapping.hostIP.isEmpty ? nil : try IPAddress(mapping.hostIP))
            },
            bandwidth: try bandwidth(),
            dns: NetworkDNS(
                servers: config.dns?.servers ?? [], searches: config.dns?.searches ?? [],
                options: config.dns?.options ?? []),
            cgroupPath: cgroup)
    }

    /// Kubernetes' bandwidth annotations, which hold quantities of bits per second.
    private func bandwidth() throws -> Bandwidth? {
        let ingress = try rate("kubernetes.io/ingress-bandwidth")
        let egress = try rate("kubernetes.io/egress-bandwidth")
        guard ingress != nil || egress != nil else { return nil }
        // Bursts as kubelets of old did: as much as the 32-bit field of the traffic shaper holds.
        let burst = UInt64(Int32.max)
        return Bandwidth(
            ingressRate: ingress, ingressBurst: ingress.map { _ in burst }, egressRate: egress,
            egressBurst: egress.map { _ in burst })
    }

    private func rate(_ annotation: String) throws -> UInt64? {
        guard let text = config.annotations[annotation] else { return nil }
        let factors: [(String, UInt64)] = [
            ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("k", 1000), ("K", 1000),
            ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000), ("", 1),
        ]
        for (suffix, factor) in factors where text.hasSuffix(suffix) {
            guard let number = UInt64(text.dropLast(suffix.count)) else { break }
            let (rate, overflow) = number.multipliedReportingOverflow(by: factor)
            guard !overflow, rate > 0 else { break }
            return rate
        }
        throw BerthError.invalid(field: "annotation \(annotation)", value: text, rule: "is not a rate such as 10M")
    }
}
