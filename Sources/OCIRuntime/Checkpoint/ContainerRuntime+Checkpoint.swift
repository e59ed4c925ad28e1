internal import CheckpointAPI
internal import Core
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// Files beside CRIU's images.
enum CheckpointFiles {
    /// Where descriptors 0 to 2 of the first process led, as `restore` gives them back: runc's name and form.
    static let descriptors = "descriptors.json"
    static let dumpLog = "dump.log"
    static let restoreLog = "restore.log"
}

/// The processes that are to be written down, whoever keeps the container's state.
public struct CheckpointTarget: Sendable {
    /// The first one.
    public var pid: Int32
    public var rootfs: FilePath
    public var specification: RuntimeSpec
    public var cgroup: ContainerCgroup

    public init(pid: Int32, rootfs: FilePath, specification: RuntimeSpec, cgroup: ContainerCgroup) {
        self.pid = pid
        self.rootfs = rootfs
        self.specification = specification
        self.cgroup = cgroup
    }
}

extension ContainerRuntime {
    /// Writes the state of every process of a container to files, and ends them unless they are left running.
    public func checkpoint(_ container: KnownContainer, _ options: CheckpointOptions) throws {
        switch container.status() {
        case .running, .paused: break
        case let status:
            throw BerthError(.failedPrecondition, "Container cannot be checkpointed in \(status.rawValue) state")
        }
        let target = CheckpointTarget(
            pid: container.stored.pid, rootfs: FilePath(container.stored.rootfs),
            specification: try container.specification(), cgroup: container.cgroup)
        try target.write(options)
        // Its processes are gone, as far as somebody waits for the first.
        if !options.leaveRunning, !options.preDump { try delete(container, force: true) }
    }
}

extension CheckpointTarget {
    /// Writes the images, with CRIU. Blocks.
    ///
    /// - Throws: `BerthError`: `notFound` without CRIU; `failedPrecondition` where it fails; `deadlineExceeded`.
    public func write(_ options: CheckpointOptions) throws {
        do {
            try Files.makeDirectories(options.imagePath, mode: 0o700)
        } catch {
            throw BerthError(.invalidArgument, "make --image-path \(options.imagePath)", cause: error)
        }
        let parent = try checkParent(options)
        let (images, work) = try options.open()
        var wanted = options.common(images, work, log: CheckpointFiles.dumpLog)
        wanted.pid = pid
        wanted.root = rootfs.string
        wanted.leaveRunning = options.leaveRunning
        wanted.tcpSkipInFlight = options.tcpSkipInFlight
        wanted.linkRemap = options.linkRemap
        if let freezer = cgroup.freezer { wanted.freezeCgroup = freezer.string }
        if let server = options.pageServer {
            wanted.pageServer = .with {
                $0.address = server.address
                $0.port = server.port
            }
        }
        if let parent {
            wanted.parentImage = parent
            wanted.trackMemory = true
        }
        if options.lazyPages, let status = options.statusDescriptor { wanted.statusDescriptor = status }
        wanted.external += try ExternalNamespaces.dumped(specification)
        if !options.preDump {
            wanted.external += ExternalMounts(specification, cgroup: cgroup).dumped(pid: pid)
            let streams = StandardStreams.of(pid)
            wanted.external += streams.compactMap(\.external)
            try Files.writeAtomically(
                options.imagePath.appending(CheckpointFiles.descriptors), try StrictJSON.encode(streams.map(\.name)))
        }
        let client = try CRIUClient(try CRIUClient.locate(options.program))
        do {
            if options.preDump { try requireMemoryTracking(options) }
            _ = try client.ask(
                .with {
                    $0.operation = options.preDump ? .preDump : .dump
                    $0.options = wanted
                }, within: options.timeout)
        } catch {
            throw options.explain(error, log: CheckpointFiles.dumpLog)
        }
        withExtendedLifetime((images, work)) {}
    }

    /// - Returns: the path from the images to those of the pre-dump.
    private func checkParent(_ options: CheckpointOptions) throws -> String? {
        guard let parent = options.parentPath, !parent.isEmpty else { return nil }
        guard !FilePath(parent).isAbsolute else {
            throw BerthError.invalid(field: "--parent-path", value: parent, rule: "must be relative to --image-path")
        }
        let path = options.imagePath.pushing(FilePath(parent))
        guard (try? Syscall.stat(path, follow: true))?.kind == .directory else {
            throw BerthError.invalid(field: "--parent-path", value: parent, rule: "is no directory below --image-path")
        }
        return parent
    }

    private func requireMemoryTracking(_ options: CheckpointOptions) throws {
        let client = try CRIUClient(try CRIUClient.locate(options.program))
        let answer = try client.ask(
            .with {
                $0.operation = .featureCheck
                $0.features.memoryTracking = true
            })
        guard answer.features.memoryTracking else {
            throw BerthError(
                .failedPrecondition, "--pre-dump: criu finds no memory tracking in this kernel (CONFIG_MEM_SOFT_DIRTY)")
        }
    }
}
