internal import Core

/// The node's network: CNI where a configuration is there, else the built-in one; looked at anew on each call.
///
/// A pod stays with the network that set it up, whatever the configuration says later.
public struct NetworkSelector: PodNetwork {
    private let cni: CNINetwork
    private let builtin: BuiltinNetwork
    private let ignoresCNI: Bool

    /// - Parameter ignoresCNI: the built-in network serves whatever is configured; pods that CNI set up leave by it still.
    public init(cni: CNINetwork, builtin: BuiltinNetwork, ignoresCNI: Bool = false) {
        self.cni = cni
        self.builtin = builtin
        self.ignoresCNI = ignoresCNI
    }

    /// A directory with nothing but broken files is an operator's mistake, not a wish for the built-in network.
    private var usesCNI: Bool { !ignoresCNI && cni.hasFiles }

    public func status() async -> NetworkStatus {
        usesCNI ? await cni.status() : await builtin.status()
    }

    public func setUp(_ request: PodNetworkRequest) async throws -> PodNetworkResult {
        if usesCNI {
            if try builtin.holds(podID: request.podID) { try await builtin.tearDown(request) }
            return try await cni.setUp(request)
        }
        if cni.holds(podID: request.podID) { try await cni.tearDown(request) }
        return try await builtin.setUp(request)
    }

    public func tearDown(_ request: PodNetworkRequest) async throws {
        if cni.holds(podID: request.podID) { try await cni.tearDown(request) }
        if try builtin.holds(podID: request.podID) { try await builtin.tearDown(request) }
    }

    public func check(_ request: PodNetworkRequest) async throws {
        if cni.holds(podID: request.podID) {
            try await cni.check(request)
        } else {
            try await builtin.check(request)
        }
    }

    /// The built-in network knows them also while it does not serve, for the time when it does.
    public func use(podCIDRs cidrs: [IPAddressPrefix]) async throws -> Bool {
        let isUsed = try await builtin.use(podCIDRs: cidrs)
        return isUsed && !usesCNI
    }

    public func collectLeftovers(isKept: @escaping @Sendable (String) -> Bool) async throws {
        try await cni.collectLeftovers(isKept: isKept)
    }

    public func collectGarbage(keeping: Set<String>) async throws {
        var failure: (any Error)?
        do { try await cni.collectGarbage(keeping: keeping) } catch { failure = error }
        try await builtin.collectGarbage(keeping: keeping)
        if let failure { throw failure }
    }
}
