/// What connects pods: the CNI plugins of the node, or the built-in network.
///
/// Operations on one pod are serialised by the implementation; those on different pods run side by side.
public protocol PodNetwork: Sendable {
    /// Whether pods can be connected now; never waits for a pod's operation.
    func status() async -> NetworkStatus

    /// Connects the pod's namespace and brings its loopback up. A failed set-up leaves nothing behind.
    func setUp(_ request: PodNetworkRequest) async throws -> PodNetworkResult

    /// Takes away everything that `setUp` made. Succeeds when the namespace is gone, when called again and when the pod
    /// never was set up.
    func tearDown(_ request: PodNetworkRequest) async throws

    /// - Throws: `BerthError` (`failedPrecondition`) that names what is no longer as `setUp` left it.
    func check(_ request: PodNetworkRequest) async throws

    /// Takes away what belongs to pods whose IDs are not in `keeping`. Before any pod is set up.
    func collectGarbage(keeping: Set<String>) async throws

    /// Gives pods from now on addresses of `cidrs`, at most one for each family: the node's part of a cluster's pod network.
    /// Pods that are connected keep what they have.
    ///
    /// - Returns: whether this network takes its addresses from there.
    /// - Throws: `BerthError` (`invalidArgument`) where one is too small.
    func use(podCIDRs cidrs: [IPAddressPrefix]) async throws -> Bool

    /// Takes away what is left of pods that `isKept` denies, beside set-ups and tear-downs: a pod is in it before it is set up.
    /// Where there is something under way all the time, nothing may come of it.
    func collectLeftovers(isKept: @escaping @Sendable (String) -> Bool) async throws
}

extension PodNetwork {
    /// For one that has its addresses from elsewhere.
    public func use(podCIDRs cidrs: [IPAddressPrefix]) async throws -> Bool { false }

    /// For one that leaves nothing: what is its own it takes away with the pod, or fails.
    public func collectLeftovers(isKept: @escaping @Sendable (String) -> Bool) async throws {}
}

/// What the CRI's `NetworkReady` condition says, in the words that kubelets know.
public struct NetworkStatus: Codable, Hashable, Sendable {
    public var isReady: Bool
    /// A CamelCase word: empty when ready, else `NetworkPluginNotReady`.
    public var reason: String
    /// Why it is not ready; empty when ready.
    public var message: String
    /// What works less than it should, such as a kernel without nf_tables (no masquerade and no host ports).
    public var warnings: [String]
    /// `cni NAME` or `builtin NAME`.
    public var provider: String

    public init(
        isReady: Bool, reason: String = "", message: String = "", warnings: [String] = [], provider: String = ""
    ) {
        self.isReady = isReady
        self.reason = reason
        self.message = message
        self.warnings = warnings
        self.provider = provider
    }

    public static func notReady(_ message: String, warnings: [String] = [], provider: String = "") -> NetworkStatus {
        NetworkStatus(
            isReady: false, reason: "NetworkPluginNotReady", message: "Network plugin returns error: \(message)",
            warnings: warnings, provider: provider)
    }
}
