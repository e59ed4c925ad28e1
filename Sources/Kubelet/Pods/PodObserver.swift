internal import CRIAPI
internal import Core
internal import Foundation

/// Reads what the runtime has of one pod; statuses that cannot change any more are asked for once.
struct PodObserver {
    let runtime: any ContainerRuntime
    let uid: String

    private struct Known: Equatable {
        let state: ObservedContainer.State
        let status: Runtime_V1_ContainerStatus
    }

    private var statuses: [String: Known] = [:]
    private var addresses: [String: [String]] = [:]

    init(runtime: any ContainerRuntime, uid: String) {
        (self.runtime, self.uid) = (runtime, uid)
    }

    mutating func observe() async throws -> PodObservation {
        let labels = [PodLabel.podUID: uid]
        let sandboxes = try await runtime.listPodSandboxes(labels: labels)
        let containers = try await runtime.listContainers(labels: labels)
        var observation = PodObservation(
            sandboxes: sandboxes.map(ObservedSandbox.init), containers: containers.map(ObservedContainer.init))
        observation.sort()
        if let latest = observation.sandboxes.first, latest.isReady {
            observation.sandboxes[0].addresses = try await addresses(of: latest.id)
        }
        var present: [ObservedContainer] = []
        for var container in observation.containers {
            guard let status = try await status(of: container) else { continue }
            container.merge(status)
            present.append(container)
        }
        observation.containers = present
        let ids = Set(present.map(\.id))
        statuses = statuses.filter { ids.contains($0.key) }
        addresses = addresses.filter { known in sandboxes.contains { $0.id == known.key } }
        return observation
    }

    private mutating func status(of container: ObservedContainer) async throws -> Runtime_V1_ContainerStatus? {
        if let known = statuses[container.id], known.state == container.state { return known.status }
        do {
            let status = try await runtime.containerStatus(container.id)
            statuses[container.id] = Known(state: ObservedContainer.State(status.state), status: status)
            return status
        } catch let error as BerthError where error.code == .notFound {
            return nil
        }
    }

    private mutating func addresses(of sandbox: String) async throws -> [String] {
        if let known = addresses[sandbox], !known.isEmpty { return known }
        let status = try await runtime.podSandboxStatus(sandbox)
        let all = ([status.network.ip] + status.network.additionalIps.map(\.ip)).filter { !$0.isEmpty }
        addresses[sandbox] = all
        return all
    }
}
