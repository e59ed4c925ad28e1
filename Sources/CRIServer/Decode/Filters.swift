internal import CRIAPI
internal import Core
internal import Engine

extension PodFilter {
    init(_ wire: Runtime_V1_PodSandboxFilter) throws {
        self.init(id: wire.id, labels: wire.labelSelector)
        guard wire.hasState else { return }
        switch wire.state.state {
        case .sandboxReady: ready = true
        case .sandboxNotready: ready = false
        case .UNRECOGNIZED(let value):
            throw BerthError.invalid(field: "filter.state", value: value, rule: "is not a known sandbox state")
        }
    }

    init(_ wire: Runtime_V1_PodSandboxStatsFilter) {
        self.init(id: wire.id, labels: wire.labelSelector)
    }
}

extension ContainerFilter {
    init(_ wire: Runtime_V1_ContainerFilter) throws {
        self.init(id: wire.id, podID: wire.podSandboxID, labels: wire.labelSelector)
        guard wire.hasState else { return }
        switch wire.state.state {
        case .containerCreated: phase = .created
        case .containerRunning: phase = .running
        case .containerExited: phase = .exited
        case .containerUnknown: phase = .unknown
        case .UNRECOGNIZED(let value):
            throw BerthError.invalid(field: "filter.state", value: value, rule: "is not a known container state")
        }
    }

    init(_ wire: Runtime_V1_ContainerStatsFilter) {
        self.init(id: wire.id, podID: wire.podSandboxID, labels: wire.labelSelector)
    }
}
