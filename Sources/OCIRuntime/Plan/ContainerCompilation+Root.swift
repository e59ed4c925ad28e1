internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// The steps from the bundle's root to that of the process.
extension ContainerCompilation {
    mutating func prepareRoot() throws {
        guard namespaces.isNewOrJoined(.mount) else {
            // Its mounts are the caller's too; delete takes them away.
            steps.child(
                "open the root \(rootfs)",
                .openRoot(
                    .with {
                        $0.path = rootfs.string
                        $0.plain = true
                    }))
            return
        }
        var propagation = MountOptions.propagationOptions.value(linux.rootfsPropagation ?? "") ?? [.slave, .recursive]
        // The root could not be bound out of an unbindable tree; it becomes so when it is entered.
        if propagation.contains(.unbindable) { propagation = [.slave, .recursive] }
        if linux.rootfsPropagation.map({ !$0.isEmpty && !$0.hasPrefix("r") }) ?? false {
            propagation.insert(.recursive)
        }
        let base = baseMounts
        if base == nil, let overlay = options.overlay {
            mountOverlay(overlay, propagation)
            propagation = []
        }
        steps.child(
            base == nil ? "open the root \(rootfs)" : "mount the root in a mount namespace without the host's",
            .openRoot(
                .with {
                    $0.path = rootfs.string
                    $0.propagation = propagation.rawValue
                    guard let base else { return }
                    $0.baseMounts = base.string
                    if let overlay = options.overlay { $0.filesystem = filesystem(overlay) }
                }))
    }

    /// `options.baseMounts`, where nothing that is done before the root is entered needs the host's mounts, but for what is
    /// opened beforehand.
    func usableBaseMounts() -> FilePath? {
        guard let base = options.baseMounts, namespaces.new.contains(.mount), !namespaces.isNewOrJoined(.user),
            !options.noPivot, spec.hooks?.createContainer?.isEmpty ?? true,
            linux.rootfsPropagation.map({ !$0.hasSuffix("shared") }) ?? true
        else { return nil }
        let binds = (spec.mounts ?? []).filter { MountOptions($0).isBind }
        // Each is a descriptor of the process till it is mounted.
        guard binds.count <= 64, !binds.contains(where: { isInRoot($0.sourcePath(in: options.bundle)) }) else {
            return nil
        }
        // A value of fsconfig(2) has at most 255 bytes.
        let canMount = facts.takesLayersSingly || (options.overlay.map { lowerLayers($0).utf8.count <= 255 } ?? true)
        return canMount ? base : nil
    }

    private mutating func mountOverlay(_ overlay: OverlayRoot, _ propagation: MountFlags) {
        steps.child(
            "keep mounts from the host",
            .setPropagation(
                .with {
                    $0.target = "/"
                    $0.propagation = propagation.rawValue
                }))
        if propagation.contains(.shared), let holder = overlay.holder {
            steps.child(
                "keep the root from the host",
                .setPropagation(
                    .with {
                        $0.target = holder.string
                        $0.propagation = MountFlags.private.rawValue
                    }))
        }
        steps.child("mount overlay at \(rootfs)", .mount(filesystem(overlay)))
    }

    private func filesystem(_ overlay: OverlayRoot) -> Berth_Launch_V1_Mount {
        let directories = [
            "lowerdir=" + lowerLayers(overlay), "upperdir=" + escape(overlay.upper),
            "workdir=" + escape(overlay.work),
        ]
        return .with {
            $0.type = "overlay"
            $0.source = "overlay"
            $0.target = rootfs.string
            $0.data = (directories + overlay.options).joined(separator: ",")
            $0.onHost = true
        }
    }

    private func lowerLayers(_ overlay: OverlayRoot) -> String {
        overlay.lower.map { escape($0) }.joined(separator: ":")
    }

    /// Overlayfs takes commas and colons in a path behind a backslash.
    private func escape(_ path: FilePath) -> String {
        path.string.flatMap { $0 == ":" || $0 == "," || $0 == "\\" ? "\\\($0)" : "\($0)" }.map(String.init).joined()
    }

    mutating func enterRoot() {
        let named = MountOptions.propagationOptions.value(linux.rootfsPropagation ?? "") ?? []
        guard namespaces.isNewOrJoined(.mount) else {
            steps.child("change to the root", .pivotRoot(.with { $0.chrootOnly = true }))
            return
        }
        steps.child(
            options.noPivot ? "move the root to /" : "pivot into the root",
            .pivotRoot(
                .with {
                    $0.noPivot = options.noPivot
                    $0.propagation = named.rawValue
                    $0.readonly = spec.root?.readonly == true
                }))
    }

    /// As runc does; the root is not read-only yet.
    mutating func makeWorkingDirectory() {
        let directory = FilePath(process.cwd).lexicallyNormalized()
        guard directory != "/" else { return }
        steps.child(
            "make the working directory \(directory)",
            .createMountpoint(
                .with {
                    $0.target = directory.string
                    $0.kind = .directory
                }))
    }

    mutating func protectPaths() {
        for path in linux.readonlyPaths ?? [] {
            steps.child("make \(path) read-only", .readonlyPath(.with { $0.path = path }))
        }
        var masked = SeenTexts()
        for path in linux.maskedPaths ?? [] where masked.insert(path) {
            steps.child(
                "mask \(path)",
                .maskPath(
                    .with {
                        $0.path = path
                        if facts.hasSELinux, let label = linux.mountLabel, !label.isEmpty {
                            $0.data = "context=\"\(label)\""
                        }
                    }))
        }
    }
}
