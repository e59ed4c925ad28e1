internal import Core
internal import Synchronization

/// What nobody asks the network for: CHECK of the pods that a restart found, and GC some time after pods were removed.
///
/// CRI has no way to say that a pod's network has changed under it, and a kubelet that is told "not ready" ends the pod. So a
/// CHECK that fails is told: in the log, and by the pod's verbose status.
final class NetworkUpkeep: Sendable {
    private struct State {
        var problems: [String: String] = [:]
        var isScheduled = false
    }

    private let state = Mutex(State())

    func problem(of podID: String) -> String? { state.withLock { $0.problems[podID] } }

    func note(_ problem: String?, of podID: String) { state.withLock { $0.problems[podID] = problem } }

    /// - Returns: whether nobody else has.
    func schedule() -> Bool {
        state.withLock { state in
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
    }

    func begin() { state.withLock { $0.isScheduled = false } }
}

extension Engine {
    private static let checksAtOnce = 4

    /// Beside everything else: a plugin may take its time for each of many pods.
    func checkNetworks() {
        let pods = registry.pods { $0.state.isReady && !$0.hasHostNetwork }
        guard !pods.isEmpty else { return }
        Task { [weak self] in
            await withTaskGroup(of: Void.self) { group in
                for (index, pod) in pods.enumerated() {
                    if index >= Self.checksAtOnce { await group.next() }
                    group.addTask { [weak self] in await self?.checkNetwork(of: pod.id) }
                }
            }
        }
    }

    private func checkNetwork(of id: String) async {
        guard !abandoned.isOpen, let pod = registry.pod(exactly: id), pod.state.isReady else { return }
        do {
            try await network.check(pod.networkRequest(layout))
            networkUpkeep.note(nil, of: id)
        } catch {
            // It may be on its way out.
            guard registry.pod(exactly: id)?.state.isReady == true else { return }
            networkUpkeep.note("\(error)", of: id)
            logger.warning(
                "a pod's network is no longer as it was set up", metadata: ["pod": "\(id)", "error": "\(error)"])
        }
    }

    /// After a pod's removal. Many removals have one collection.
    func scheduleNetworkCollection() {
        guard networkUpkeep.schedule() else { return }
        Task { [weak self, configuration] in
            try? await Task.sleep(for: configuration.networkCollectionDelay)
            guard let self, !self.abandoned.isOpen else { return }
            self.networkUpkeep.begin()
            do {
                try await self.network.collectLeftovers { [weak self] id in
                    guard let self else { return true }
                    return self.unreadPods.contains(id) || self.registry.pod(exactly: id) != nil
                }
            } catch {
                self.logger.warning("could not collect what pods left", metadata: ["error": "\(error)"])
            }
        }
    }
}
