internal import Core
internal import Images
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

/// A container that goes on where a checkpoint left it: its creation takes the checkpoint for its image.
///
/// CRIU's images say what the processes are, with their users, capabilities, seccomp filters and mounts, and the pod's
/// configuration does not change that. Whoever may name such an image is trusted with the machine: `pods.restore_checkpoints`.
extension Engine {
    /// The checkpoint's files of a container that is being made; `nil` for one of an ordinary image.
    ///
    /// - Returns: the image that the checkpointed container was of.
    func unpackCheckpoint(named image: String, for id: String, in pod: PodSandbox) async throws -> String? {
        let isArchive = image.hasPrefix("/")
        var layer: BlobReader?
        if !isArchive {
            layer = try await images.checkpointLayer(of: image)
            guard layer != nil else { return nil }
        }
        try requireRestoring(image, in: pod)
        let files = checkpoints.files(id)
        do {
            try Files.removeTree(checkpoints.checkpoint(id))
            try Files.makeDirectories(files, mode: 0o700)
            let blob = layer
            try await onThread {
                if let blob { return try CheckpointArchive.unpack(blob, into: files) }
                let archive = try Self.openArchive(FilePath(image))
                defer { archive.close() }
                try CheckpointArchive.unpack(archive.fd, into: files)
            }
            try Failpoint.reach("restore.unpacked")
            return try await baseImage(of: id)
        } catch {
            try? removeCheckpoint(id)
            if let error = error as? Errno {
                throw BerthError(Self.code(of: error), "could not make \(files)", cause: error)
            }
            throw BerthError.wrapping(error, "checkpoint \"\(image)\"")
        }
    }

    private func requireRestoring(_ image: String, in pod: PodSandbox) throws {
        guard configuration.restoresCheckpoints else {
            throw BerthError(
                .failedPrecondition, "\"\(image)\" is a checkpoint, and this daemon restores none",
                advice: "set pods.restore_checkpoints where whoever makes containers may be root on this machine")
        }
        _ = try criu()
        _ = try restorer(in: pod)
        guard pod.userNamespace == nil else {
            throw BerthError(
                .unimplemented,
                "a checkpoint cannot be restored in pod sandbox \"\(pod.id)\", which has its own user namespace")
        }
    }

    private static func openArchive(_ path: FilePath) throws -> OwnedDescriptor {
        let file: OwnedDescriptor
        do {
            file = try Syscall.open(path, [.readOnly, .nonBlocking, .noControllingTerminal])
        } catch {
            throw BerthError(
                error == .noSuchFileOrDirectory ? .notFound : .invalidArgument, "could not open archive \(path)",
                cause: error)
        }
        guard try Syscall.fstat(file.fd).kind == .regular else {
            throw BerthError(.invalidArgument, "archive \(path) is no regular file")
        }
        return file
    }

    private func baseImage(of id: String) async throws -> String {
        let file = checkpoints.files(id).appending(CheckpointArchive.config)
        let bytes: [UInt8]
        do {
            bytes = try Files.read(file, limit: CheckpointArchive.documentLimit)
        } catch {
            throw BerthError(.invalidArgument, "has no \(CheckpointArchive.config)", cause: error)
        }
        let document = try StrictJSON.decode(
            CheckpointedContainer.self, from: bytes, what: CheckpointArchive.config)
        let names = [document.rootfsImageRef, document.rootfsImageName, document.rootfsImage].compactMap(\.self)
            .filter { !$0.isEmpty }
        for name in names where try await images.status(of: name) != nil { return name }
        throw BerthError(
            .notFound, "its container's image \"\(names.last ?? "")\" is not present", advice: "pull it first")
    }

    /// Every mount of the host that the processes have must be there for them again.
    func checkMounts(ofCheckpoint id: String, _ spec: RuntimeSpec) throws {
        let file = checkpoints.files(id).appending(CheckpointArchive.specification)
        let bytes: [UInt8]
        do {
            bytes = try Files.read(file, limit: CheckpointArchive.documentLimit)
        } catch {
            throw BerthError(.invalidArgument, "the checkpoint has no \(CheckpointArchive.specification)", cause: error)
        }
        let former = try StrictJSON.decode(RuntimeSpec.self, from: bytes, what: CheckpointArchive.specification)
        let known = Set((spec.mounts ?? []).map(\.destination))
        for mount in former.mounts ?? [] {
            let options = mount.options ?? []
            guard mount.type == "bind" || options.contains("bind") || options.contains("rbind") else { continue }
            guard known.contains(mount.destination) else {
                throw BerthError(
                    .invalidArgument,
                    "the checkpointed container has a mount at \(mount.destination), and config.mounts has none")
            }
        }
    }

    /// Brings the mounted root filesystem of a container to where the checkpointed one was.
    func restoreDifference(of id: String) async throws {
        let files = checkpoints.files(id)
        let root = layout.rootFS(of: id)
        do {
            let difference = files.appending(CheckpointArchive.rootFSDifference)
            if Files.exists(difference) {
                let file = try Syscall.open(difference, [.readOnly, .noFollow])
                let isGzip = try Self.isGzip(file)
                _ = try await LayerUnpacker().unpackInPlace(
                    .file(file), mediaType: isGzip ? .layerGzip : .layer, into: root)
            }
            let deleted = files.appending(CheckpointArchive.deletedFiles)
            guard Files.exists(deleted) else { return }
            let bytes = try Files.read(deleted, limit: CheckpointArchive.documentLimit)
            let names = try StrictJSON.decode([String].self, from: bytes, what: CheckpointArchive.deletedFiles)
            let tree = try RootedDirectory(root)
            for name in names {
                let path = FilePath(root: nil, FilePath(name).components)
                guard !path.isEmpty else { continue }
                try tree.remove(path)
            }
        } catch let error as Errno {
            throw BerthError(
                Self.code(of: error), "could not restore the root filesystem of container \(id)", cause: error)
        }
    }

    /// CRIU gives the UTS namespace the name that it had, also where that is the new pod's.
    func restoreHostname(of id: String, in pod: PodSandbox) async throws {
        guard let process = registry.container(exactly: id)?.process, pod.config.security.namespaces.network != .node
        else { return }
        do {
            let namespace = try Syscall.open(FilePath("/proc/\(process.pid)/ns/uts"), [.readOnly])
            defer { namespace.close() }
            let hostname = Self.hostname(of: pod)
            try await NamespaceThread.run(in: namespace.fd, type: .uts) {
                try Files.writeKernelFile("/proc/sys/kernel/hostname", hostname)
            }
        } catch let error as Errno {
            // It has ended already.
            guard error != .noSuchFileOrDirectory, error != .noSuchProcess else { return }
            throw BerthError(.internal, "could not give container \(id) the hostname of its pod", cause: error)
        }
    }

    private static func isGzip(_ file: OwnedDescriptor) throws -> Bool {
        var start = [UInt8](repeating: 0, count: 2)
        let count = try start.withUnsafeMutableBytes { try file.fd.read(fromAbsoluteOffset: 0, into: $0) }
        return count == 2 && start == [0x1f, 0x8b]
    }

    /// The program that restores containers of a pod and holds them then: the pod's own, or `berth-oci`.
    func restorer(in pod: PodSandbox) throws -> OCIRuntimeProgram {
        if let program = program(of: pod) { return program }
        guard let restorer else {
            throw BerthError(
                .failedPrecondition, "berth-oci, which restores checkpoints, is not beside \(launcher.executable)",
                advice: "install it there, or in bin beside libexec")
        }
        return restorer
    }

    /// `nil` where it is not installed.
    static func findRestorer(_ launcher: Launcher, _ configuration: EngineConfiguration) async -> OCIRuntimeProgram? {
        guard configuration.restoresCheckpoints else { return nil }
        let own = (try? Syscall.readlinkat("/proc/self/exe")).map { FilePath($0).removingLastComponent() }
        let beside = launcher.executable.removingLastComponent()
        let folders = [own, beside, beside.removingLastComponent().removingLastComponent().appending("bin")]
        for folder in folders.compactMap(\.self) {
            let path = folder.appending("berth-oci")
            guard Files.exists(path) else { continue }
            return try? await OCIRuntimeProgram(
                name: "berth-oci", path: path, state: configuration.state, criu: configuration.criu)
        }
        return nil
    }
}
