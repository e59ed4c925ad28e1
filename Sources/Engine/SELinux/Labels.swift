internal import Core
internal import Images
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Which SELinux contexts pods and containers have.
extension Engine {
    /// `nil` where this host has no SELinux for containers.
    func labels(ofPod config: PodSandboxConfig) throws -> SELinuxLabels? {
        guard let selinux else { return nil }
        let taken = registry.pods { _ in true }.compactMap { $0.selinux.flatMap { SELinuxContext($0.files)?.level } }
        return try selinux.labels(
            config.security.selinux, level: selinux.newLevel(besides: Set(taken)),
            field: "config.linux.security_context.selinux_options")
    }

    /// Those of the pod, but for what the container asks for. A privileged one that asks for nothing goes on as the daemon
    /// runs: its process has no label.
    func labels(of config: ContainerConfig, in pod: PodSandbox) throws -> SELinuxLabels? {
        guard let selinux, var labels = pod.selinux else { return nil }
        let options = config.security.selinux
        if let options, !options.label.isEmpty {
            labels = try selinux.labels(
                options, level: SELinuxContext(labels.files)?.level,
                field: "config.linux.security_context.selinux_options")
        } else if config.security.privileged {
            labels.process = ""
        }
        return labels
    }

    /// What the container may read and write besides its root: volumes of its image, and mounts that say so.
    func relabel(_ config: ContainerConfig, _ volumes: [ImageVolume], as labels: SELinuxLabels?) async throws {
        guard let label = labels?.files else { return }
        let mounts = config.mounts.enumerated().filter { $1.selinuxRelabel && $1.image == nil }
        guard !mounts.isEmpty || !volumes.isEmpty else { return }
        try await onThread {
            for volume in volumes { try Relabel.tree(volume.directory, as: label) }
            for (index, mount) in mounts {
                try Relabel.tree(
                    FilePath(mount.hostPath), as: label, field: "config.mounts[\(index)].selinux_relabel")
            }
        }
    }

    /// A root filesystem that is no overlay, whose mount would say the label for all of its files.
    func relabel(_ rootFS: SnapshotMounts, as labels: SELinuxLabels?) async throws {
        guard let label = labels?.files, case .bind(let source, false) = rootFS else { return }
        try await onThread { try Relabel.tree(source, as: label) }
    }

    /// What a config asks of SELinux and does not get here. Not that its mounts are to be relabelled, which a kubelet says on
    /// every host.
    func withoutSELinux(_ config: ContainerConfig) -> [String] {
        guard selinux == nil, let label = config.security.selinux?.label, !label.isEmpty else { return [] }
        let reason =
            !facts.hasSELinux
            ? "this kernel runs without SELinux"
            : configuration.usesSELinux
                ? "this host's policy knows no containers (lxc_contexts)" : "pods.selinux is off"
        return ["config.linux.security_context.selinux_options \(label) has no effect: \(reason)"]
    }
}
