internal import Core
internal import Images
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

extension Engine {
    /// Makes a container and its process, which waits before its exec.
    ///
    /// A repeated call with the same configuration, for a container that was not started, answers its ID. A failed call
    /// leaves nothing behind.
    ///
    /// - Parameter podID: an ID or the start of one.
    public func createContainer(_ config: ContainerConfig, in podID: String) async throws -> String {
        let pod = try podSandbox(podID)
        return try await exclusively("name/\(config.metadata.reservedName(inPod: pod.id))") {
            try await self.removeFailedAttempt(config, in: pod)
            if let id = try self.existingContainer(config, in: pod) { return id }
            return try await self.makeContainer(config, in: pod)
        }
    }

    /// A container of this name that never ran gives its name up: what is left of a creation that failed, and one made with
    /// another configuration whose creator did not hear of it, as a kubelet whose call has timed out.
    private func removeFailedAttempt(_ config: ContainerConfig, in pod: PodSandbox) async throws {
        guard let existing = registry.container(named: config.metadata, in: pod.id) else { return }
        switch existing.state {
        case .created where existing.config != config: break
        case .exited(let exit) where exit.reason == ContainerExit.createError: break
        default: return
        }
        try await removeContainer(existing.id)
    }

    private func existingContainer(_ config: ContainerConfig, in pod: PodSandbox) throws -> String? {
        guard let existing = registry.container(named: config.metadata, in: pod.id) else { return nil }
        guard existing.state == .created, existing.config == config else {
            throw BerthError(
                .alreadyExists,
                "container \"\(config.metadata.name)\" attempt \(config.metadata.attempt) of pod sandbox \(pod.id) exists "
                    + "as \(existing.id), \(existing.state.name)",
                advice: "remove it, or raise the attempt")
        }
        return existing.id
    }

    private func makeContainer(_ config: ContainerConfig, in pod: PodSandbox) async throws -> String {
        let id = Identifier.random()
        let base = try await unpackCheckpoint(named: config.image.image, for: id, in: pod)
        do {
            return try await makeContainer(config, id, of: base, in: pod)
        } catch {
            if base != nil { try? removeCheckpoint(id) }
            throw error
        }
    }

    /// - Parameter base: the image of a container that is restored from a checkpoint.
    private func makeContainer(
        _ config: ContainerConfig, _ id: String, of base: String?, in pod: PodSandbox
    ) async throws -> String {
        guard let image = try await images.status(of: base ?? config.image.image) else {
            throw BerthError(.notFound, "image \"\(config.image.image)\" is not present", advice: "pull it first")
        }
        let execution = image.config.config ?? ImageConfig.Execution()
        var container = Container(
            id: id, podID: pod.id, podMetadata: pod.config.metadata, config: config, imageID: image.id.description,
            imageReference: image.digests.first ?? image.id.description,
            imageName: images.name(of: image, askedFor: config.image), logPath: try Self.logPath(config, in: pod),
            createdAt: WallClock.now(), state: .creating, resources: config.resources ?? LinuxResources(),
            stopSignal: try config.stopSignal ?? Self.stopSignal(of: execution), cgroup: self.cgroup(of: id, in: pod),
            warnings: [])
        if base != nil { container.isRestored = true }
        let made = container
        // Who stops or removes the container meanwhile waits until it is made or gone.
        return try await locks.withLock("container/\(id)") {
            try await fill(made, execution: execution, in: pod)
        }
    }

    private func fill(
        _ container: Container, execution: ImageConfig.Execution, in pod: PodSandbox
    ) async throws -> String {
        let (id, config) = (container.id, container.config)
        return try await withRollback { rollback in
            // The record comes first: whatever is made afterwards can be found and removed after a crash.
            try registry.insert(container)
            rollback.onFailure("remove what was made of container \(id)") { try await self.undo(container) }
            try await store(container: id)
            try Failpoint.reach("container.create.recorded")

            let rootFS = try await images.prepareRootFS(containerID: id, image: container.imageID)
            try Failpoint.reach("container.create.rootfs")
            let resolver = UserResolver(files: LayeredFiles(layers: rootFS.readableLayers))
            let user = try resolver.resolve(config.security, imageUser: execution.user ?? "")
            let labels = try labels(of: config, in: pod)
            let mountedImages = try await mountImages(of: container, in: pod, labels)
            try Failpoint.reach("container.create.images")
            let volumes = try await makeVolumes(of: container, image: execution, rootFS: rootFS)
            try await relabel(rootFS, as: labels)
            try Failpoint.reach("container.create.volumes")
            let unadjusted = try specification(
                of: container, in: pod, execution: execution, user: user, home: resolver.home(of: user.uid),
                images: mountedImages.mapValues(\.path), volumes: volumes, labels: labels)
            rollback.onFailure("tell the plugins") {
                await self.plugins.containerStopped(container, in: pod)
                await self.plugins.containerRemoved(container, in: pod)
            }
            var spec = try await self.adjusted(unadjusted, of: container, in: pod)
            let program = program(of: container)
            if program != nil { spec = configured(spec, of: container, in: pod) }
            if container.isRestored == true { try checkMounts(ofCheckpoint: id, spec) }
            let adjusted = try registry.container(id)
            try makeContainerDirectory(id, spec: spec, mounts: config.mounts)
            try await relabel(config, volumes, as: labels)
            try Failpoint.reach("container.create.directory")
            try await mountMappedRoot(rootFS, of: adjusted, in: pod, labels)
            if container.isRestored == true { try await restoreDifference(of: id) }
            try Failpoint.reach("container.create.mounted")
            let launched =
                if let program { try await launch(adjusted, by: program) } else {
                    try await launch(adjusted, spec: spec, rootFS: rootFS)
                }
            try Failpoint.reach("container.create.launched")
            let entry = LiveContainer(monitor: MonitorClient(socket: layout.monitorSocket(of: id)), spec: spec)
            live[id] = entry
            var warnings = launched.warnings.map { "\($0)" }
            warnings += withoutSELinux(config)
            for warning in warnings {
                logger.notice(
                    "the kernel refused a part of container", metadata: ["container": "\(id)", "what": "\(warning)"])
            }
            guard registry.pod(exactly: pod.id)?.state.isReady == true else {
                throw BerthError(.failedPrecondition, "pod sandbox \"\(pod.id)\" was stopped meanwhile")
            }
            let made = try registry.updateContainer(id) {
                $0.user = user
                if !mountedImages.isEmpty {
                    $0.mountedImages = Dictionary(
                        uniqueKeysWithValues: mountedImages.map { ("\($0.key)", $0.value.id) })
                }
                $0.process = ProcessIdentity(pid: launched.pid, startTime: launched.startTime)
                $0.monitor = ProcessStatus.read(launched.monitorPID).map {
                    ProcessIdentity(pid: $0.pid, startTime: $0.startTime)
                }
                $0.warnings = warnings
                $0.state = .created
            }
            try await store(container: id)
            try Failpoint.reach("container.create.created")
            watch(id, entry)
            publish(.created, id, pod: pod.id)
            await plugins.containerCreated(made, in: pod)
            return id
        }
    }

    /// What cannot be taken apart now stays as an exited container, so that its client sees it and removes it.
    func undo(_ container: Container) async throws {
        do {
            try await dismantle(container)
            registry.removeContainer(container.id)
            live[container.id] = nil
        } catch {
            try registry.updateContainer(container.id) {
                $0.state = .exited(
                    ContainerExit(
                        code: 128, startedAt: 0, finishedAt: WallClock.now(), reason: ContainerExit.createError,
                        message: "it could not be made, nor taken apart: \(error)"))
            }
            try await store(container: container.id)
            // Nobody watches it: whoever removes it has nothing to wait for.
            live[container.id]?.exited.open()
            throw error
        }
        try await store(container: container.id)
    }

    private static func logPath(_ config: ContainerConfig, in pod: PodSandbox) throws -> String {
        guard !config.logPath.isEmpty, !pod.config.logDirectory.isEmpty else { return "" }
        let path = FilePath(pod.config.logDirectory).pushing(FilePath(config.logPath))
        guard !FilePath(config.logPath).isAbsolute else {
            throw BerthError.invalid(
                field: "config.log_path", value: config.logPath, rule: "must be relative to the pod's log directory")
        }
        try PodValidation.absolute(path.string, field: "config.log_path")
        return path.string
    }

    private static func stopSignal(of image: ImageConfig.Execution) throws -> Int32 {
        guard let text = image.stopSignal, !text.isEmpty else { return 15 }
        guard let number = SignalName.number(of: text) else {
            throw BerthError.invalid(field: "StopSignal of the image", value: text, rule: "is not a signal")
        }
        return number
    }

    private func makeContainerDirectory(_ id: String, spec: RuntimeSpec, mounts: [ContainerMount]) throws {
        do {
            try Files.makeDirectories(layout.rootFS(of: id), mode: 0o700)
            try Files.writeAtomically(layout.configuration(of: id), StrictJSON.encode(spec))
            // As the field does: a missing source of a mount becomes a directory.
            for mount in mounts where mount.image == nil && !Files.exists(FilePath(mount.hostPath)) {
                try Files.makeDirectories(FilePath(mount.hostPath), mode: 0o755)
            }
            let log = try registry.container(id).logPath
            if !log.isEmpty { try Files.makeDirectories(FilePath(log).removingLastComponent(), mode: 0o755) }
        } catch let error as Errno {
            throw BerthError(Self.code(of: error), "could not make the directory of container \(id)", cause: error)
        }
    }
}
