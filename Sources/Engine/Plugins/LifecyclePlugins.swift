public import OCISpec

/// Programs of others that take part in the life of pods and containers. The engine calls them at each step; how they are
/// reached is theirs.
///
/// A call that may throw fails the step that it belongs to. The others tell what has happened: nothing can be refused then.
public protocol LifecyclePlugins: Sendable {
    /// Before the pod is ready; its network is there. Until `podSandboxReady` or `podSandboxRemoved` it is being made.
    func runPodSandbox(_ pod: PodSandbox) async throws
    func podSandboxReady(_ pod: PodSandbox)
    func updatePodSandbox(_ pod: PodSandbox, overhead: LinuxResources?, resources: LinuxResources?) async throws
    func podSandboxUpdated(_ pod: PodSandbox) async
    /// Its containers have ended; its network is there still.
    func podSandboxStopped(_ pod: PodSandbox) async
    func podSandboxRemoved(_ pod: PodSandbox) async

    /// Before anything of the container runs. Until `containerCreated` or `containerRemoved` it is being made.
    ///
    /// - Returns: what it is made of instead.
    func createContainer(
        _ container: Container, spec: RuntimeSpec, in pod: PodSandbox
    ) async throws -> ContainerAdjustment
    func containerCreated(_ container: Container, in pod: PodSandbox) async
    func startContainer(_ container: Container, in pod: PodSandbox) async throws
    func containerStarted(_ container: Container, in pod: PodSandbox) async
    /// - Returns: the limits that it gets instead.
    func updateContainer(
        _ container: Container, to limits: RuntimeSpec.Linux.Resources, in pod: PodSandbox
    ) async throws -> RuntimeSpec.Linux.Resources
    func containerUpdated(_ container: Container, in pod: PodSandbox) async
    /// It has ended, whoever ended it.
    func containerStopped(_ container: Container, in pod: PodSandbox) async
    func containerRemoved(_ container: Container, in pod: PodSandbox) async
}

/// What plugins made of a container that is to be created.
public struct ContainerAdjustment: Sendable {
    public var spec: RuntimeSpec
    /// Names of devices that plugins want in it besides (Container Device Interface).
    public var cdiDevices: [String]

    public init(spec: RuntimeSpec, cdiDevices: [String] = []) {
        self.spec = spec
        self.cdiDevices = cdiDevices
    }
}

/// For a node without plugins.
public struct NoPlugins: LifecyclePlugins {
    public init() {}

    public func runPodSandbox(_ pod: PodSandbox) async throws {}
    public func podSandboxReady(_ pod: PodSandbox) {}
    public func updatePodSandbox(
        _ pod: PodSandbox, overhead: LinuxResources?, resources: LinuxResources?
    ) async throws {}
    public func podSandboxUpdated(_ pod: PodSandbox) async {}
    public func podSandboxStopped(_ pod: PodSandbox) async {}
    public func podSandboxRemoved(_ pod: PodSandbox) async {}

    public func createContainer(
        _ container: Container, spec: RuntimeSpec, in pod: PodSandbox
    ) async throws -> ContainerAdjustment {
        ContainerAdjustment(spec: spec)
    }
    public func containerCreated(_ container: Container, in pod: PodSandbox) async {}
    public func startContainer(_ container: Container, in pod: PodSandbox) async throws {}
    public func containerStarted(_ container: Container, in pod: PodSandbox) async {}
    public func updateContainer(
        _ container: Container, to limits: RuntimeSpec.Linux.Resources, in pod: PodSandbox
    ) async throws -> RuntimeSpec.Linux.Resources {
        limits
    }
    public func containerUpdated(_ container: Container, in pod: PodSandbox) async {}
    public func containerStopped(_ container: Container, in pod: PodSandbox) async {}
    public func containerRemoved(_ container: Container, in pod: PodSandbox) async {}
}
