internal import Core
internal import Images
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
public import SystemPackage

extension Engine {
    /// How long CRIU may take where the client says nothing.
    private static let checkpointTime = Duration.seconds(600)

    /// Writes the state of a running container to the archive `location`, and lets it run on.
    ///
    /// The container is frozen from before its memory is read until its filesystem is, so that the two fit.
    ///
    /// - Parameters:
    ///   - id: an ID or the start of one.
    ///   - location: an absolute path; what is there is replaced when the archive is whole.
    ///   - timeout: after which CRIU is killed. The container may not survive that.
    public func checkpointContainer(_ id: String, to location: FilePath, timeout: Duration? = nil) async throws {
        guard location.isAbsolute, !location.components.contains(where: { $0.kind == .parentDirectory }),
            location.lastComponent != nil
        else {
            throw BerthError.invalid(
                field: "location", value: location, rule: "must be the absolute path of an archive, without ..")
        }
        let container = try container(id)
        try await exclusively("container/\(container.id)") {
            let container = try self.container(container.id)
            guard container.state.isRunning, let process = container.process else {
                throw BerthError(
                    .failedPrecondition, "container \"\(container.id)\" is \(container.state.name), not running")
            }
            let criu = try self.criu()
            try self.makeCheckpointDirectory(container.id, location: location)
            do {
                try await self.checkpoint(container, process.pid, to: location, by: criu, within: timeout)
                try self.removeCheckpoint(container.id)
            } catch {
                try? self.removeCheckpoint(container.id)
                throw error
            }
            self.logger.info(
                "wrote a checkpoint", metadata: ["container": "\(container.id)", "location": "\(location)"])
        }
    }

    private func checkpoint(
        _ container: Container, _ pid: Int32, to location: FilePath, by criu: FilePath, within limit: Duration?
    ) async throws {
        try Failpoint.reach("checkpoint.begun")
        let cgroup = containerCgroup(of: container)
        do {
            defer { thaw(container) }
            try cgroup.freeze()
            try Failpoint.reach("checkpoint.frozen")
            var options = CheckpointOptions(imagePath: checkpoints.images(container.id))
            options.workPath = checkpoints.files(container.id)
            options.leaveRunning = true
            options.tcpEstablished = true
            options.externalUnixSockets = true
            options.fileLocks = true
            options.program = criu.string
            options.timeout = limit ?? Self.checkpointTime
            try await writeImages(of: container, pid, cgroup, options)
            try Failpoint.reach("checkpoint.dumped")
            try await writeDifference(of: container)
        }
        try writeDocuments(of: container)
        try Failpoint.reach("checkpoint.written")
        try await writeArchive(of: container.id, to: location)
        try Failpoint.reach("checkpoint.archived")
    }

    /// - Throws: `BerthError` (`failedPrecondition`) without it: nothing is missing that the client named.
    func criu() throws -> FilePath {
        do {
            return try CRIUClient.locate(configuration.criu?.string)
        } catch {
            throw BerthError(
                .failedPrecondition, "checkpoints need criu: \(configuration.criu?.string ?? "criu") is not installed",
                advice: "install the package criu, or name the program by pods.criu")
        }
    }

    func containerCgroup(of container: Container) -> ContainerCgroup {
        ContainerCgroup(host: facts.cgroups, path: container.cgroup, unit: unit(of: container.cgroup))
    }

    private func thaw(_ container: Container) {
        do { try containerCgroup(of: container).thaw() } catch {
            logger.error(
                "could not thaw container", metadata: ["container": "\(container.id)", "error": "\(error)"])
        }
    }

    private func makeCheckpointDirectory(_ id: String, location: FilePath) throws {
        do {
            try Files.removeTree(checkpoints.checkpoint(id))
            try Files.makeDirectories(checkpoints.images(id), mode: 0o700)
            try Files.writeAtomically(checkpoints.location(id), Array(location.string.utf8))
        } catch {
            throw BerthError(Self.code(of: error), "could not make \(checkpoints.files(id))", cause: error)
        }
    }

    /// What is not there is no error.
    func removeCheckpoint(_ id: String) throws {
        if let location = try? Files.readText(checkpoints.location(id), limit: 4096) {
            try? Syscall.unlinkat(CheckpointLayout.partial(FilePath(location)))
        }
        do {
            try Files.removeTree(checkpoints.checkpoint(id))
        } catch {
            throw BerthError(.internal, "could not remove \(checkpoints.checkpoint(id))", cause: error)
        }
    }

    /// After a daemon that was killed: nobody goes on with what it was writing, and the container must not stay frozen.
    func recoverCheckpoints() {
        for id in (try? Files.list(checkpoints.root)) ?? [] {
            let container = registry.container(exactly: id)
            if Files.exists(checkpoints.location(id)) {
                if let container { thaw(container) }
            } else if container?.state == .created {
                // It is restored by its start.
                continue
            }
            do { try removeCheckpoint(id) } catch {
                logger.warning("could not remove a checkpoint's files", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: Members

    private func writeImages(
        of container: Container, _ pid: Int32, _ cgroup: ContainerCgroup, _ options: CheckpointOptions
    ) async throws {
        do {
            if let program = program(of: container) {
                try await program.checkpoint(container.id, options)
                return
            }
            let target = CheckpointTarget(
                pid: pid, rootfs: layout.rootFS(of: container.id), specification: try specification(of: container),
                cgroup: cgroup)
            try await onThread { try target.write(options) }
        } catch {
            // CRIU's log goes with the rest: no advice to look there.
            var told = error as? BerthError ?? BerthError(.internal, "\(error)")
            told.advice = nil
            throw BerthError.wrapping(told, "could not checkpoint container \"\(container.id)\"")
        }
    }

    private func writeDifference(of container: Container) async throws {
        let file = checkpoints.files(container.id).appending(CheckpointArchive.rootFSDifference)
        let tree: FilePath
        switch try await images.rootFS(containerID: container.id) {
        case .overlay(let overlay):
            guard let upper = overlay.upper else {
                throw BerthError(.internal, "container \(container.id) has no writable layer")
            }
            tree = FilePath(upper)
        // A whole copy of the image, which is what it differs from nothing by.
        case .bind(let source, _): tree = source
        }
        try await onThread {
            let output = try Syscall.open(file, [.writeOnly, .create, .exclusive], mode: 0o600)
            try TreeArchive.write(tree, to: output.fd)
        }
    }

    private func writeDocuments(of container: Container) throws {
        let files = checkpoints.files(container.id)
        let document = CheckpointedContainer(
            id: container.id, name: container.config.metadata.name, rootfsImage: container.config.image.image,
            rootfsImageRef: container.imageReference, rootfsImageName: container.config.image.image,
            runtime: program(of: container)?.name ?? Self.ownHandler,
            createdTime: RFC3339.format(container.createdAt), checkpointedTime: RFC3339.format(WallClock.now()),
            restoredTime: "0001-01-01T00:00:00Z", restored: false)
        do {
            try Files.writeAtomically(files.appending(CheckpointArchive.config), StrictJSON.encode(document))
            try Files.writeAtomically(
                files.appending(CheckpointArchive.specification),
                Files.read(layout.configuration(of: container.id), limit: 16 << 20))
            try Files.writeAtomically(
                files.appending("status.dump"), StrictJSON.encode(CheckpointedStatus(container)))
            try copyLog(of: container, to: files.appending("container.log"))
        } catch let error as Errno {
            throw BerthError(Self.code(of: error), "could not write the checkpoint's documents", cause: error)
        }
    }

    /// The name is the kubelet's, and what is there may be anything.
    private func copyLog(of container: Container, to file: FilePath) throws {
        guard !container.logPath.isEmpty,
            let log = try? Syscall.open(FilePath(container.logPath), [.readOnly, .noFollow, .nonBlocking]),
            let status = try? Syscall.fstat(log.fd), status.kind == .regular
        else { return }
        let copy = try Syscall.open(file, [.writeOnly, .create, .exclusive], mode: 0o600)
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var left = status.size
        while left > 0 {
            let count = try buffer.withUnsafeMutableBytes { try log.fd.read(into: $0) }
            guard count > 0 else { return }
            try copy.fd.writeAll(buffer[..<min(count, Int(clamping: left))])
            left -= Int64(count)
        }
    }

    private func writeArchive(of id: String, to location: FilePath) async throws {
        let files = checkpoints.files(id)
        let partial = CheckpointLayout.partial(location)
        do {
            try await onThread {
                try? Syscall.unlinkat(partial)
                let archive = try Syscall.open(partial, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
                try TreeArchive.write(files, to: archive.fd)
                try Syscall.fsync(archive.fd)
                try Syscall.renameat2(partial, to: location)
            }
        } catch let error as Errno {
            throw BerthError(Self.code(of: error), "could not write the checkpoint to \(location)", cause: error)
        }
    }
}
