internal import CRIAPI
internal import Engine

extension Runtime_V1_ContainerEventResponse {
    init(_ event: ContainerEvent) {
        self.init()
        containerID = event.containerID
        containerEventType =
            switch event.kind {
            case .created: .containerCreatedEvent
            case .started: .containerStartedEvent
            case .stopped: .containerStoppedEvent
            case .deleted: .containerDeletedEvent
            }
        createdAt = event.at
        if let pod = event.pod { podSandboxStatus = Runtime_V1_PodSandboxStatus(pod) }
        containersStatuses = event.containers.map(Runtime_V1_ContainerStatus.init)
    }
}
