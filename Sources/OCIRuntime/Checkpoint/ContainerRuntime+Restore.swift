internal import CheckpointAPI
internal import Core
internal import LaunchAPI
internal import LinuxKernel
public import OCISpec
public import SystemPackage

extension ContainerRuntime {
    /// Makes a container whose processes go on where a checkpoint left them.
    ///
    /// - Returns: the container, and its process, which is a child of this one.
    /// - Throws: `BerthError`; nothing of a failed restore stays behind.
    public func restore(
        id: String, bundle: FilePath, options: RunOptions, checkpoint: CheckpointOptions,
        check: (RuntimeSpec) throws -> Void = { _ in }
    ) throws -> (container: KnownContainer, process: LaunchedProcess) {
        try Identifier.validate(id)
        let (spec, bytes) = try bundleSpecification(bundle)
        try check(spec)
        try spec.validate()
        let directory = try claim(id)
        var undo: [() -> Void] = [{ try? Files.removeTree(directory) }]
        do {
            try Files.writeAtomically(directory.appending("config.json"), bytes)
            let work = RestoreWork(
                runtime: self, id: id, bundle: bundle, directory: directory, spec: spec, options: options,
                checkpoint: checkpoint)
            return try work.run(&undo)
        } catch {
            for step in undo.reversed() { step() }
            throw checkpoint.explain(error, log: CheckpointFiles.restoreLog)
        }
    }
}

/// One restore, from the mounted root to the recorded container.
private struct RestoreWork {
    let runtime: ContainerRuntime
    let id: String
    let bundle: FilePath
    let directory: FilePath
    let spec: RuntimeSpec
    let options: RunOptions
    let checkpoint: CheckpointOptions

    func run(_ undo: inout [() -> Void]) throws -> (container: KnownContainer, process: LaunchedProcess) {
        let (facts, cgroup) = try runtime.place(spec, id: id)
        let placed = runtime.placed(spec, in: cgroup)
        let rootfs = FilePath(runtime.rootfs(spec, bundle))
        try makeMountpoints(rootfs)
        let root = try mountRoot(rootfs, &undo)
        let (images, work) = try checkpoint.open()
        let namespaces = try ExternalNamespaces.opened(spec)
        let extra = namespaces.enumerated().map { ($1.file.fd, Int32(4 + $0)) }
        let streams = (0..<Int32(3)).map { (FileDescriptor(rawValue: $0), $0) }
        let client = try CRIUClient(try CRIUClient.locate(checkpoint.program), descriptors: streams + extra)
        let made = cgroup.survey().missing.map(\.paths)
        undo.append {
            try? cgroup.kill()
            try? cgroup.delete()
            // Parents that came with it; one that has got others meanwhile stays.
            for path in made.flatMap({ $0.reversed() }) { try? Syscall.unlinkat(path, removeDirectory: true) }
        }
        try enter(cgroup, placed, facts, pid: client.process.pid)

        var wanted = checkpoint.common(images, work, log: CheckpointFiles.restoreLog)
        wanted.root = root.string
        wanted.evasiveDevices = true
        wanted.restoreSibling = true
        wanted.external = ExternalMounts(spec, cgroup: cgroup, bundle: bundle).restored()
        wanted.joinedNamespaces = try ExternalNamespaces.joined(spec)
        wanted.inherited = try inherited(namespaces.map(\.key))
        wanted.cgroupRoots = try cgroupRoots(of: client.process.pid)
        if let profile = checkpoint.lsmProfile { wanted.lsmProfile = profile }
        if let context = checkpoint.lsmMountContext { wanted.lsmMountContext = context }

        var terminal: OwnedDescriptor?
        let answer = try client.ask(
            .with {
                $0.operation = .restore
                $0.options = wanted
            }
        ) { notification, descriptors in
            switch notification.point {
            case "setup-namespaces": try runHooks(pid: notification.pid)
            case "orphan-pts-master": terminal = try forward(descriptors.first)
            default: break
            }
        }
        withExtendedLifetime((images, work, namespaces)) {}
        return try record(answer.restored.pid, cgroup, placed, terminal)
    }

    // MARK: Root

    /// CRIU mounts on what is there. What lies below a file system of the container's own is in its images.
    private func makeMountpoints(_ rootfs: FilePath) throws {
        var own: [FilePath] = []
        do {
            let root = try RootedDirectory(rootfs)
            for mount in spec.mounts ?? [] {
                let target = FilePath("/").pushing(FilePath(mount.destination)).lexicallyNormalized()
                let isBind = MountOptions(mount).isBind
                defer { if !isBind { own.append(target) } }
                if own.contains(where: { target.starts(with: $0) }) { continue }
                let path = FilePath(root: nil, target.components)
                let file = mount.sourcePath(in: bundle)
                if isBind, let status = try? Syscall.stat(file, follow: true), status.kind != .directory {
                    try root.makeDirectories(path.removingLastComponent())
                    _ = try root.open(path, [.readOnly, .create], mode: 0o644)
                } else {
                    try root.makeDirectories(path)
                }
            }
        } catch {
            throw BerthError(.failedPrecondition, "make the mount points of \(rootfs)", cause: error)
        }
    }

    /// CRIU wants a mount point whose parent nobody mounted over.
    private func mountRoot(_ rootfs: FilePath, _ undo: inout [() -> Void]) throws -> FilePath {
        let root = directory.appending("criu-root")
        do {
            try Syscall.mkdirat(root, mode: 0o755)
            try Syscall.mount(source: rootfs.string, target: root, type: "", flags: [.bind, .recursive], data: "")
        } catch {
            throw BerthError(.failedPrecondition, "bind \(rootfs) for criu", cause: error)
        }
        undo.append { try? Syscall.umount2(root, .detach) }
        return root
    }

    // MARK: Cgroup

    /// CRIU goes there, and so what it restores.
    private func enter(_ cgroup: ContainerCgroup, _ spec: RuntimeSpec, _ facts: HostFacts, pid: Int32) throws {
        let resources = spec.linux?.resources ?? .init()
        try cgroup.unit?.start(
            pid: pid, description: "berth-oci container \(id)", resources: resources,
            annotations: spec.annotations ?? [:], on: cgroup.host)
        do {
            try cgroup.cgroup.create()
            var writes = try ResourceWrites.compile(resources, on: facts.cgroups)
            if facts.cgroups.hierarchy(of: "devices") != nil {
                writes += DeviceRules.legacyWrites(DeviceRules.effective(spec))
            }
            try cgroup.cgroup.apply(writes)
            try cgroup.cgroup.add(pid: pid)
        } catch let error as BerthError {
            throw error
        } catch {
            throw BerthError(.failedPrecondition, "make cgroup \(cgroup.path)", cause: error)
        }
    }

    private func cgroupRoots(of pid: Int32) throws -> [Berth_Checkpoint_V1_CgroupRoot] {
        let text = try Files.readText(FilePath("/proc/\(pid)/cgroup"))
        return text.split(separator: "\n").flatMap { line -> [Berth_Checkpoint_V1_CgroupRoot] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let controllers = fields[1].isEmpty ? [""] : fields[1].split(separator: ",")
            return controllers.map { controller in
                .with {
                    $0.controller = String(controller)
                    $0.path = String(fields[2])
                }
            }
        }
    }

    // MARK: Descriptors

    /// Pipes and files of outside are this program's own now.
    private func inherited(_ namespaces: [String]) throws -> [Berth_Checkpoint_V1_InheritedDescriptor] {
        let file = checkpoint.imagePath.appending(CheckpointFiles.descriptors)
        let names: [String]
        do {
            names = try StrictJSON.decode([String].self, from: Files.read(file, limit: 1 << 16), what: file.string)
        } catch let error as Errno {
            throw BerthError(.invalidArgument, "read \(file)", cause: error)
        }
        let streams = names.prefix(3).enumerated().filter { $1.contains("pipe:") || $1.hasPrefix("file[") }
        return streams.map { number, name in
            .with {
                $0.key = name
                $0.descriptor = Int32(number)
            }
        }
            + namespaces.enumerated().map { index, key in
                .with {
                    $0.key = key
                    $0.descriptor = Int32(4 + index)
                }
            }
    }

    private func forward(_ master: OwnedDescriptor?) throws -> OwnedDescriptor? {
        guard let master, let console = options.consoleSocket else { return master }
        do {
            let socket = try Syscall.connect(console, .stream)
            try Syscall.send(Array("/dev/ptmx".utf8), descriptors: [master.fd], to: socket.fd)
        } catch {
            throw BerthError(.failedPrecondition, "send the terminal to \(console)", cause: error)
        }
        return nil
    }

    private func runHooks(pid: Int32) throws {
        let state = ContainerState(
            id: id, status: .creating, pid: pid, bundle: bundle.string, annotations: spec.annotations)
        for (index, hook) in (spec.hooks?.prestart ?? []).enumerated() {
            try HookRunner.run(hook, state: state, kind: "prestart", index: index)
        }
        for (index, hook) in (spec.hooks?.createRuntime ?? []).enumerated() {
            try HookRunner.run(hook, state: state, kind: "createRuntime", index: index)
        }
    }

    // MARK: Record

    private func record(
        _ pid: Int32, _ cgroup: ContainerCgroup, _ spec: RuntimeSpec, _ terminal: OwnedDescriptor?
    ) throws -> (container: KnownContainer, process: LaunchedProcess) {
        // The root's bind mount was for CRIU; the container has its own.
        try? Syscall.umount2(directory.appending("criu-root"), .detach)
        try? Syscall.unlinkat(directory.appending("criu-root"), removeDirectory: true)
        guard let status = ProcessStatus.read(pid) else {
            throw BerthError(.failedPrecondition, "restore container \(id): its process ended at once")
        }
        do {
            try DeviceRules.attach(spec, to: cgroup)
            let stored = StoredContainer(
                id: id, pid: pid, startTime: status.startTime, bundle: bundle.string,
                rootfs: runtime.rootfs(spec, bundle), created: Timestamp.now(), owner: Syscall.effectiveUserID,
                cgroupPath: cgroup.path, unit: cgroup.unit,
                hierarchies: PlannedCgroup(cgroup, isPartial: runtime.isRootless).hierarchies,
                annotations: spec.annotations)
            try Files.writeAtomically(directory.appending("state.json"), StrictJSON.text(stored.json))
            if let pidFile = options.pidFile { try Files.writeAtomically(pidFile, Array("\(pid)".utf8), mode: 0o644) }
            let process = LaunchedProcess(
                pid: pid, startTime: status.startTime, monitorPID: 0, warnings: [], terminal: terminal)
            return (KnownContainer(directory: directory, stored: stored, cgroup: cgroup, specification: spec), process)
        } catch {
            if let pidfd = try? Syscall.pidfdOpen(pid) { try? Syscall.pidfdSendSignal(pidfd.fd, 9) }
            throw BerthError.wrapping(error, "record container \(id)")
        }
    }
}
