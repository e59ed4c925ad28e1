internal import Core
internal import LaunchAPI
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// The verbs of an OCI runtime over a directory of states. Each call stands alone: nothing is kept between them.
public struct ContainerRuntime: Sendable {
    /// ROOT/ID/{state.json, config.json, exec.fifo} for each container.
    public let root: FilePath
    /// New containers' cgroups are made by systemd.
    public let usesSystemd: Bool
    /// This process has not root's rights: what it may not limit is left alone, and user services are the user's own.
    public let isRootless: Bool
    /// New containers get none, whatever their configuration says: they stay where their caller is.
    public let usesCgroups: Bool
    private let configuredLauncher: Launcher?

    /// - Parameter launcher: `nil`: the program that is found beside this one.
    public init(
        root: FilePath, launcher: Launcher? = nil, usesSystemd: Bool = false, isRootless: Bool = false,
        usesCgroups: Bool = true
    ) {
        self.root = root
        self.usesSystemd = usesSystemd
        self.isRootless = isRootless
        self.usesCgroups = usesCgroups
        configuredLauncher = launcher
    }

    func launcher() throws -> Launcher { try configuredLauncher ?? Launcher.locate() }

    static let specificationLimit = 16 << 20

    public static func readSpecification(_ path: FilePath) throws -> RuntimeSpec {
        do {
            let bytes = try Files.read(path, limit: specificationLimit)
            return try StrictJSON.decode(RuntimeSpec.self, from: bytes, what: path.string, limit: specificationLimit)
        } catch Errno.noSuchFileOrDirectory {
            throw BerthError(.notFound, "JSON specification file \(path) not found")
        } catch let error as Errno {
            throw BerthError(.invalidArgument, "read \(path)", cause: error)
        }
    }

    // MARK: Looking up

    public func container(_ id: String) throws -> KnownContainer {
        try Identifier.validate(id)
        let directory = root.appending(id)
        let bytes = try readState(id, directory)
        let stored = try StrictJSON.decode(StoredContainer.self, from: bytes, what: "state of container \(id)")
        guard stored.version == StoredContainer.currentVersion else {
            throw BerthError(
                .failedPrecondition,
                "state of container \(id) has version \(stored.version); this program knows \(StoredContainer.currentVersion)"
            )
        }
        var host = try CgroupHost.detect()
        if let hierarchies = stored.hierarchies { host = host.limited(to: hierarchies) }
        let cgroup = ContainerCgroup(host: host, path: stored.cgroupPath, unit: stored.unit)
        return KnownContainer(directory: directory, stored: stored, cgroup: cgroup)
    }

    private func readState(_ id: String, _ directory: FilePath) throws -> [UInt8] {
        do {
            return try Files.read(directory.appending("state.json"), limit: 16 << 20)
        } catch .noSuchFileOrDirectory {
            throw BerthError(.notFound, "container does not exist")
        } catch {
            throw BerthError(.internal, "read the state of container \(id)", cause: error)
        }
    }

    /// Every container, sorted by ID; what is being created or removed at the moment is left out.
    public func containers() throws -> [KnownContainer] {
        do {
            return try Files.list(root).compactMap { try? container($0) }
        } catch {
            throw BerthError(.internal, "list \(root)", cause: error)
        }
    }

    // MARK: Starting

    /// Lets a created container's process go on, and runs the poststart hooks.
    public func start(_ container: KnownContainer) throws {
        switch container.status() {
        case .created: break
        case .stopped: throw BerthError(.failedPrecondition, "cannot start a container that has stopped")
        default: throw BerthError(.failedPrecondition, "cannot start an already running container")
        }
        try StartSignal(container).give()
        try? Syscall.unlinkat(container.fifo)
        try runPoststartHooks(container)
    }

    /// One that fails ends the container (specification, "Lifecycle", step 9).
    public func runPoststartHooks(_ container: KnownContainer) throws {
        let spec = try container.specification()
        // It runs, also where its program has come to its end already.
        let state = ContainerState(
            id: container.id, status: .running, pid: container.stored.pid, bundle: container.stored.bundle,
            annotations: container.stored.annotations)
        for (index, hook) in (spec.hooks?.poststart ?? []).enumerated() {
            do { try HookRunner.run(hook, state: state, kind: "poststart", index: index) } catch {
                try? kill(container, signal: 9, all: true)
                throw error
            }
        }
    }

    // MARK: Signals

    /// - Parameter all: every process of the container, not only the first.
    public func kill(_ container: KnownContainer, signal: Int32, all: Bool) throws {
        // Without a PID namespace of its own the end of the first process does not end the others.
        if signal == 9, !all, !container.ownsPIDs, !container.cgroup.cgroup.directories.isEmpty,
            try !container.cgroup.pids().isEmpty
        {
            return try container.cgroup.kill()
        }
        // Without a cgroup the first process is all that is known; its namespace's others end with it.
        if all, !container.cgroup.cgroup.directories.isEmpty {
            if signal == 9 { return try container.cgroup.kill() }
            let frozen = container.cgroup.isFrozen
            // One that has ended meanwhile needs no signal.
            for pid in try container.cgroup.pids() { try? Syscall.kill(pid, signal) }
            if frozen { try? container.cgroup.thaw() }
            return
        }
        guard let process = try container.initProcess() else {
            // All of none.
            if all { return }
            throw BerthError(.failedPrecondition, "container not running")
        }
        do {
            try Syscall.pidfdSendSignal(process.fd, signal)
        } catch .noSuchProcess {
            throw BerthError(.failedPrecondition, "container not running")
        } catch {
            throw BerthError(.internal, "signal container \(container.id)", cause: error)
        }
        // A frozen process does not die before it is thawed.
        if signal == 9, container.cgroup.isFrozen { try? container.cgroup.thaw() }
    }

    // MARK: Freezing

    public func pause(_ container: KnownContainer) throws {
        switch container.status() {
        case .running, .created: try container.cgroup.freeze()
        default: throw BerthError(.failedPrecondition, "container not running")
        }
    }

    public func resume(_ container: KnownContainer) throws {
        guard container.status() == .paused || container.cgroup.isFrozen else {
            throw BerthError(.failedPrecondition, "container not paused")
        }
        try container.cgroup.thaw()
    }

    // MARK: Removing

    /// - Parameter force: kills what runs; otherwise only a stopped or created container is removed.
    public func delete(_ container: KnownContainer, force: Bool) throws {
        let status = container.status()
        switch status {
        case .stopped: break
        case .created: try killAndWait(container)
        default:
            guard force else {
                throw BerthError(
                    .failedPrecondition,
                    "cannot delete container \(container.id) that is not stopped: \(status.rawValue)")
            }
            try killAndWait(container)
        }
        try destroy(container)
    }

    /// What a create that was killed half-way left behind.
    public func deleteLeftovers(_ id: String) throws -> Bool {
        try Identifier.validate(id)
        let directory = root.appending(id)
        guard Files.exists(directory) else { return false }
        if let cgroup = try leftCgroup(directory, id: id) {
            try? cgroup.kill()
            try cgroup.delete()
        }
        try Files.removeTree(directory)
        return true
    }

    private func killAndWait(_ container: KnownContainer) throws {
        guard let process = try container.initProcess() else { return }
        try? Syscall.pidfdSendSignal(process.fd, 9)
        try? container.cgroup.kill()
        if container.cgroup.isFrozen { try? container.cgroup.thaw() }
        // Ten seconds, as runc waits.
        let events = try Syscall.poll([(process.fd, events: 1)], timeout: 10_000)
        if events[0] == 0 {
            throw BerthError(.deadlineExceeded, "container \(container.id) init still running")
        }
    }

    func destroy(_ container: KnownContainer) throws {
        let spec = try? container.specification()
        do {
            try container.cgroup.deleteIfEmpty()
        } catch {
            // Somebody is left in it, or below it.
            try? container.cgroup.kill()
            try container.cgroup.delete()
        }
        var state = container.state()
        state.status = .stopped
        state.pid = 0
        do {
            try Files.removeTree(container.directory)
        } catch {
            throw BerthError(.internal, "remove \(container.directory)", cause: error)
        }
        if let spec, spec.linux?.intelRdt != nil {
            try? Resctrl(spec.linux, id: container.id, mountpoint: HostFacts.resctrlMountpoint())?.remove()
        }
        if let spec { endLifecycle(of: spec, rootfs: container.stored.rootfs, state) }
    }

    /// When the container is gone, or came to none: a failed hook leads there too (specification, "Lifecycle"), since what the
    /// others made is for the poststop hooks to remove.
    func endLifecycle(of spec: RuntimeSpec, rootfs: String, _ state: ContainerState) {
        HostMounts(spec, rootfs).remove()
        for (index, hook) in (spec.hooks?.poststop ?? []).enumerated() {
            // Their failure is told and changes nothing (specification, "Poststop").
            do { try HookRunner.run(hook, state: state, kind: "poststop", index: index) } catch {
                Self.warn("\(error)")
            }
        }
    }

    /// Where warnings go; the command line sets it before anything runs.
    nonisolated(unsafe) public static var warn: @Sendable (String) -> Void = { _ in }
    /// Where it is told what is done; `nil`: nowhere, and nothing is put into words.
    nonisolated(unsafe) public static var trace: (@Sendable (String) -> Void)?

    /// Every step of a plan, before it is carried out.
    static func debug(_ plan: Berth_Launch_V1_Plan) {
        guard let trace else { return }
        for (index, step) in plan.steps.enumerated() {
            let place = step.place == .child ? "child" : "host"
            trace("step \(index + 1) of \(plan.steps.count) (\(place)): \(step.words)")
            if case .installSeccomp(let filter) = step.action {
                // SECCOMP_FILTER_FLAG_NEW_LISTENER comes with a listener.
                trace("seccomp filter flags: \(filter.flags | (filter.listener.isEmpty ? 0 : 8))")
            }
        }
    }
}
