internal import Core
internal import Images
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// What of a container is mounted in the daemon's own mount namespace, below the container's directory: images as
/// volumes, and the root filesystem of a pod with its own user namespace, whose layers are mounted with the pod's ids.
extension Engine {
    /// Mounts the images that the container's mounts name, read-only.
    ///
    /// - Returns: what is to be bound, and the image's ID, by the index of the mount.
    func mountImages(
        of container: Container, in pod: PodSandbox, _ labels: SELinuxLabels?
    ) async throws -> [Int: (path: FilePath, id: String)] {
        var result: [Int: (path: FilePath, id: String)] = [:]
        for (index, mount) in container.config.mounts.enumerated() {
            guard let image = mount.image else { continue }
            let field = "config.mounts[\(index)]"
            guard mount.readonly else {
                throw BerthError(
                    .invalidArgument, "\(field).readonly is not set, but an image is mounted read-only alone")
            }
            guard mount.propagation == .private else {
                throw BerthError.invalid(
                    field: "\(field).propagation", value: mount.propagation.rawValue,
                    rule: "must be private for an image")
            }
            let (id, mounts) = try await images.prepareImageMount(
                containerID: container.id, index: index, image: image.image)
            let target = layout.image(index, of: container.id)
            try await mountLayers(mounts, at: target, of: container.id, in: pod, labels)
            result[index] = (try Self.path(mount.imageSubPath, of: target, field: field), id)
        }
        return result
    }

    /// Where `subPath` leads to inside the image; its links are resolved inside, too.
    private static func path(_ subPath: String?, of image: FilePath, field: String) throws -> FilePath {
        guard let subPath else { return image }
        let path = FilePath(subPath)
        guard !path.isAbsolute, !subPath.utf8.contains(0),
            !path.components.contains(where: { $0.kind == .parentDirectory })
        else {
            throw BerthError.invalid(
                field: "\(field).image_sub_path", value: subPath, rule: "must be a relative path without ..")
        }
        do {
            let file = try RootedDirectory(image).open(path, [.path])
            defer { file.close() }
            return FilePath(try Syscall.readlinkat(FilePath("/proc/self/fd/\(file.rawValue)")))
        } catch {
            throw BerthError(.notFound, "\(field).image_sub_path: \"\(subPath)\" is not in the image", cause: error)
        }
    }

    /// Mounts the root filesystem with the ids of the pod's user namespace (mount_setattr(2), "ID-mapped mounts"), or for a
    /// runtime that does not mount it itself.
    func mountMappedRoot(
        _ rootFS: SnapshotMounts, of container: Container, in pod: PodSandbox, _ labels: SELinuxLabels?
    ) async throws {
        guard pod.userNamespace != nil || program(of: container) != nil else { return }
        if let user = pod.userNamespace, case .overlay(let overlay) = rootFS, let upper = overlay.upper {
            do {
                // What is written carries the ids of the host; its root is the container's.
                try Syscall.fchownat(FilePath(upper), uid: user.uids[0].hostID, gid: user.gids[0].hostID)
            } catch {
                throw BerthError(.internal, "could not own \(upper) by the pod's root", cause: error)
            }
        }
        try await mountLayers(rootFS, at: layout.rootFS(of: container.id), of: container.id, in: pod, labels)
    }

    private func mountLayers(
        _ mounts: SnapshotMounts, at target: FilePath, of id: String, in pod: PodSandbox, _ labels: SELinuxLabels?
    ) async throws {
        do {
            try Files.makeDirectories(target, mode: 0o711)
            for directory in [layout.container(id), target] { try Syscall.fchmodat(directory, mode: 0o711) }
            let namespace =
                pod.userNamespace == nil
                ? nil : try Syscall.open(layout.namespace("user", ofPod: pod.id), [.readOnly])
            defer { namespace?.close() }
            switch try mounts.takingLabels(labels, empty: layout.layers(of: id)) {
            case .bind(let source, let readOnly):
                if let namespace {
                    try mapped(source, namespace.fd, at: target)
                } else {
                    try Syscall.mount(source: source.string, target: target, type: nil, flags: [.bind])
                }
                try Syscall.mount(source: nil, target: target, type: nil, flags: [.private])
                if readOnly {
                    try Syscall.mount(
                        source: nil, target: target, type: nil, flags: [.bind, .remount, .readOnly, .noDevices])
                }
            case .overlay(var overlay):
                overlay.context = labels?.files
                try await mountOverlay(overlay, at: target, of: id, namespace)
            }
        } catch let error as Errno {
            throw BerthError(
                .internal, "could not mount layers at \(target)", cause: error,
                advice: pod.userNamespace == nil ? nil : "user namespaces need idmapped mounts of the root's filesystem"
            )
        }
    }

    private func mountOverlay(
        _ overlay: OverlayMount, at target: FilePath, of id: String, _ namespace: OwnedDescriptor?
    ) async throws {
        let directory = layout.layers(of: id)
        var mounted: [FilePath] = []
        // The overlay holds the layers by mounts of its own: these are needed no longer than until it is made.
        defer {
            for path in mounted.reversed() { try? Syscall.umount2(path, [.detach, .noFollow]) }
            if namespace != nil { try? Files.removeTree(directory) }
        }
        func map(_ layer: String, _ namespace: OwnedDescriptor) throws -> String {
            let path = directory.appending("\(mounted.count)")
            try Files.makeDirectories(path, mode: 0o700)
            try mapped(FilePath(layer), namespace.fd, at: path)
            mounted.append(path)
            return path.string
        }
        var overlay = overlay
        if let namespace {
            var base: String?
            if !overlay.joined.isEmpty {
                // The overlay of the lowest layers has the host's ids; the pod gets one of its own.
                let lowest = OverlayMount(lower: try overlay.joined.map { try map($0, namespace) })
                let path = directory.appending("joined")
                try Files.makeDirectories(path, mode: 0o700)
                try await mount(lowest, at: path)
                mounted.append(path)
                overlay.lower.removeLast()
                base = path.string
            }
            overlay.lower = try overlay.lower.map { try map($0, namespace) }
            if let base { overlay.lower.append(base) }
        }
        try await mount(overlay, at: target)
        try Syscall.mount(source: nil, target: target, type: nil, flags: [.private])
    }

    private func mount(_ overlay: OverlayMount, at target: FilePath) async throws {
        try await onThread {
            // Very many layers are named relative to a working directory of the thread's own.
            try Syscall.unshareFilesystemState()
            try overlay.mount(at: target)
        }
    }

    private func mapped(_ source: FilePath, _ namespace: FileDescriptor, at target: FilePath) throws(Errno) {
        let tree = try Syscall.openTree(source, clone: true)
        defer { tree.close() }
        try Syscall.mountSetattr(tree.fd, set: .idMapped, propagation: .private, userNamespace: namespace)
        try Syscall.moveMount(tree.fd, to: target)
    }

    /// Takes the mounts away again; what is not there is no error.
    func unmountHostMounts(of container: Container) async throws {
        let images = container.config.mounts.indices.filter { container.config.mounts[$0].image != nil }
        var paths = images.map { layout.image($0, of: container.id) }
        // Of a pod that is gone from the registry nothing is known: asking the kernel costs less than a wrong guess.
        if registry.pod(exactly: container.podID)?.userNamespace != nil || container.isMapped || !programs.isEmpty
            || container.isRestored == true
        {
            paths.append(layout.rootFS(of: container.id))
        }
        do {
            for path in paths { try unmountAll(path) }
        } catch {
            throw BerthError(.internal, "could not unmount what container \(container.id) had mounted", cause: error)
        }
        for index in images { try await self.images.removeImageMount(containerID: container.id, index: index) }
    }
}

extension SnapshotMounts {
    /// A layer by itself as an overlay, where its files are to have another label in the container: all images share them.
    ///
    /// - Parameter empty: a directory for a second layer, since an overlay that only reads has two at least.
    fileprivate func takingLabels(_ labels: SELinuxLabels?, empty: FilePath) throws(Errno) -> SnapshotMounts {
        guard labels != nil, case .bind(let source, true) = self else { return self }
        let below = empty.appending("empty")
        try Files.makeDirectories(below, mode: 0o755)
        return .overlay(OverlayMount(lower: [source.string, below.string]))
    }
}

extension Container {
    fileprivate var isMapped: Bool { config.security.namespaces.user?.mode == .pod }
}
