internal import Core
public import Logging
public import Networking
public import Store
internal import LinuxKernel
internal import OCIRuntime
internal import Synchronization
internal import SystemPackage

/// Pods and containers of one node: makes them, watches them, and finds them again after a restart.
///
/// Each lifecycle call holds the lock of its pod or container; lists, statuses and statistics read the registry and
/// never wait. What a call began is finished or undone even if its client goes away.
public final class Engine: Sendable {
    public let configuration: EngineConfiguration
    public let images: ImageService
    let logger: Logger
    let layout: StateLayout
    let database: Database
    let network: any PodNetwork
    let launcher: Launcher
    let facts: HostFacts
    let driver: CgroupDriver
    let host: SpecHost
    let compiler: PlanCompiler
    /// `nil` where this process may not mount: containers begin with a copy of the host's mounts there.
    let baseMounts: BaseMounts?
    let plugins: any LifecyclePlugins
    let programs: [String: OCIRuntimeProgram]
    /// What restores checkpoints in pods of our own runtime; `nil` where none are, or it is not installed.
    let restorer: OCIRuntimeProgram?
    let checkpoints: CheckpointLayout
    let profiles = SeccompProfiles()
    let apparmor: AppArmorProfiles
    /// `nil` where containers have no labels.
    let selinux: SELinuxPolicy?
    let registry = Registry()
    let live = LiveContainers()
    let podSamples = PodSamples()
    let networkUpkeep = NetworkUpkeep()
    /// Pods whose records a newer version wrote: not in the registry, and not gone.
    private let unread = Mutex<Set<String>>([])
    var unreadPods: Set<String> { unread.withLock { $0 } }
    let containerEvents = ContainerEvents()
    /// Keys: `pod/ID`, `container/ID`, `name/RESERVED NAME`, `record/ID`.
    let locks = KeyedLock<String>()
    /// Open when another engine has taken over.
    let abandoned = Latch()
    private let stateLock: OwnedDescriptor

    /// Opens the state directory and recovers what an earlier daemon left: every pod and container as it is now.
    ///
    /// - Throws: `BerthError` (`failedPrecondition`) where another daemon uses the state directory.
    public init(
        configuration: EngineConfiguration, database: Database, images: ImageService, network: any PodNetwork,
        plugins: any LifecyclePlugins = NoPlugins(), logger: Logger
    ) async throws {
        self.configuration = configuration
        self.database = database
        self.images = images
        self.network = network
        self.plugins = plugins
        self.logger = logger
        layout = StateLayout(root: configuration.state)
        stateLock = try Self.prepare(layout)
        launcher = try Launcher.locate(configured: configuration.launcher)
        var facts = try HostFacts.detect()
        facts.takesLayersSingly = KernelRelease.isAtLeast(6, 8)
        self.facts = facts
        driver = configuration.usesSystemd ? try .systemd() : .cgroupfs
        host = SpecHost(facts)
        apparmor = AppArmorProfiles(isEnabled: facts.hasAppArmor)
        if apparmor.isEnabled {
            do { try await apparmor.loadDefault() } catch {
                logger.warning(
                    "containers have no default AppArmor profile: it could not be loaded",
                    metadata: ["error": "\(error)"])
            }
        }
        selinux = configuration.usesSELinux && facts.hasSELinux ? .load() : nil
        if configuration.usesSELinux, facts.hasSELinux, selinux == nil {
            logger.warning("containers have no SELinux labels: the host's policy has no contexts/lxc_contexts for them")
        }
        programs = try await Self.programs(configuration)
        restorer = await Self.findRestorer(launcher, configuration)
        checkpoints = CheckpointLayout(root: configuration.root)
        compiler = PlanCompiler(facts: facts)
        do { baseMounts = try await BaseMounts(over: layout.root) } catch {
            baseMounts = nil
            logger.notice(
                "containers begin with the host's mounts: there could be no mount namespace without them",
                metadata: ["error": "\(error)"])
        }
        try await recover()
    }

    private static func prepare(_ layout: StateLayout) throws -> OwnedDescriptor {
        do {
            try Files.makeDirectories(layout.root, mode: 0o711)
            for directory in [layout.pods, layout.containers, layout.runtimes] {
                try Files.makeDirectories(directory, mode: 0o711)
                // The root of a user namespace passes through to its root filesystem; what is there has hard names.
                try Syscall.fchmodat(directory, mode: 0o711)
            }
        } catch {
            throw BerthError(.internal, "could not make the state directory \(layout.root)", cause: error)
        }
        let path = layout.root.appending("berthd.lock")
        do {
            let lock = try Syscall.open(path, [.readWrite, .create, .noFollow], mode: 0o600)
            try Syscall.flock(lock.fd, .exclusive, wait: false)
            return lock
        } catch {
            throw BerthError(
                .failedPrecondition, "could not lock \(path)", cause: error,
                advice: "another berthd uses \(layout.root); give this one its own --state")
        }
    }

    func leaveAlone(_ ids: Set<String>) { unread.withLock { $0 = ids } }

    // MARK: What is there

    public func podSandboxes(_ filter: PodFilter = PodFilter()) -> [PodSandbox] {
        registry.pods { $0.state != .creating && filter.matches($0) }
    }

    /// - Parameter id: an ID or the start of one.
    public func podSandbox(_ id: String) throws -> PodSandbox {
        let pod = try registry.pod(id)
        guard pod.state != .creating else { throw BerthError.notFound("pod sandbox", id) }
        return pod
    }

    public func containers(_ filter: ContainerFilter = ContainerFilter()) -> [Container] {
        registry.containers { $0.state != .creating && filter.matches($0) }
    }

    /// - Parameter id: an ID or the start of one.
    public func container(_ id: String) throws -> Container {
        let container = try registry.container(id)
        guard container.state != .creating else { throw BerthError.notFound("container", id) }
        return container
    }

    /// Changes of containers and pods from now on. The stream ends with an error if its reader falls too far behind.
    public func events() -> AsyncThrowingStream<ContainerEvent, any Error> {
        containerEvents.subscribe()
    }

    /// The addresses that the node has of its cluster for its pods, as a kubelet tells them.
    ///
    /// - Parameter text: prefixes with commas between them, at most one for each family; empty for none.
    public func usePodCIDRs(_ text: String) async throws {
        guard !text.isEmpty else { return }
        let field = "runtime_config.network_config.pod_cidr"
        let prefixes = try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let prefix = try? IPAddressPrefix(String(part.drop { $0 == " " })) else {
                throw BerthError.invalid(field: field, value: text.prefix(128), rule: "must be ADDRESS/LENGTH")
            }
            return prefix.network
        }
        guard Set(prefixes.map(\.address.family)).count == prefixes.count else {
            throw BerthError.invalid(field: field, value: text.prefix(128), rule: "must have one prefix of a family")
        }
        let isUsed: Bool
        do { isUsed = try await network.use(podCIDRs: prefixes) } catch { throw BerthError.wrapping(error, field) }
        logger.notice(
            isUsed
                ? "new pods get addresses of the pod CIDR"
                : "the kubelet told its pod CIDR; networks here are configured otherwise",
            metadata: ["cidr": "\(text)"])
    }

    /// Lets go of event streams, so that a server can end. Containers run on.
    public func shutDown() {
        containerEvents.finish()
    }

    /// Lets go of the state directory and watches nothing any more, so that another engine can take over. Containers run
    /// on. For a process that has a new engine on the same directories.
    func abandon() async throws {
        shutDown()
        abandoned.open()
        stateLock.close()
    }

    // MARK: For the lifecycle calls

    /// Runs `body` under the lock of `key`, to its end even if the calling task is cancelled: what was begun is not left
    /// half done because a client hung up.
    func exclusively<Result: Sendable>(
        _ key: String, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await Task { try await self.locks.withLock(key, body) }.value
    }

    /// Writes the pod's record as the registry has it now, or removes it where the registry has it no longer.
    func store(pod id: String) async throws {
        try await locks.withLock("record/\(id)") {
            if let pod = registry.pod(exactly: id) {
                try await database.put(try Records.record(of: pod), pod.state == .creating ? .adding : .keeping)
            } else {
                _ = try await database.deletePod(id: id)
            }
        }
    }

    /// As `store(pod:)`.
    func store(container id: String) async throws {
        try await locks.withLock("record/\(id)") {
            if let container = registry.container(exactly: id) {
                try await database.put(
                    try Records.record(of: container), container.state == .creating ? .adding : .keeping)
            } else {
                _ = try await database.deleteContainer(id: id)
            }
        }
    }

    func publish(_ kind: ContainerEvent.Kind, _ id: String, pod podID: String) {
        let pod = registry.pod(exactly: podID)
        containerEvents.publish(
            ContainerEvent(
                containerID: id, kind: kind, at: WallClock.now(), pod: pod,
                containers: pod == nil ? [] : registry.containers(in: podID)))
    }
}
