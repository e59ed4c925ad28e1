internal import CRIAPI
internal import Engine

extension Runtime_V1_PodSandboxMetadata {
    init(_ metadata: PodSandboxMetadata) {
        self.init()
        name = metadata.name
        uid = metadata.uid
        namespace = metadata.namespace
        attempt = metadata.attempt
    }
}

extension PodState {
    var wire: Runtime_V1_PodSandboxState { isReady ? .sandboxReady : .sandboxNotready }
}

extension Runtime_V1_PodSandbox {
    init(_ pod: PodSandbox) {
        self.init()
        id = pod.id
        metadata = Runtime_V1_PodSandboxMetadata(pod.config.metadata)
        state = pod.state.wire
        createdAt = pod.createdAt
        labels = pod.labels
        annotations = pod.config.annotations
        runtimeHandler = pod.runtimeHandler
    }
}

extension Runtime_V1_PodSandboxStatus {
    init(_ pod: PodSandbox) {
        self.init()
        id = pod.id
        metadata = Runtime_V1_PodSandboxMetadata(pod.config.metadata)
        state = pod.state.wire
        createdAt = pod.createdAt
        network = Runtime_V1_PodSandboxNetworkStatus.with { network in
            let addresses = pod.state.isReady ? pod.addresses : []
            network.ip = addresses.first ?? ""
            network.additionalIps = addresses.dropFirst().map { address in
                Runtime_V1_PodIP.with { $0.ip = address }
            }
        }
        linux = Runtime_V1_LinuxPodSandboxStatus.with {
            $0.namespaces.options = Runtime_V1_NamespaceOption(pod.config.security.namespaces)
        }
        labels = pod.labels
        annotations = pod.config.annotations
        runtimeHandler = pod.runtimeHandler
    }
}

extension Runtime_V1_NamespaceOption {
    init(_ options: NamespaceOptions) {
        self.init()
        network = Runtime_V1_NamespaceMode(options.network)
        pid = Runtime_V1_NamespaceMode(options.pid)
        ipc = Runtime_V1_NamespaceMode(options.ipc)
        targetID = options.targetID
        if let user = options.user {
            usernsOptions = Runtime_V1_UserNamespace.with {
                $0.mode = Runtime_V1_NamespaceMode(user.mode)
                $0.uids = user.uids.map(Runtime_V1_IDMapping.init)
                $0.gids = user.gids.map(Runtime_V1_IDMapping.init)
            }
        }
    }
}

extension Runtime_V1_NamespaceMode {
    init(_ mode: NamespaceOptions.Mode) {
        switch mode {
        case .pod: self = .pod
        case .container: self = .container
        case .node: self = .node
        case .target: self = .target
        }
    }
}

extension Runtime_V1_IDMapping {
    init(_ mapping: IDMapping) {
        self.init()
        hostID = mapping.hostID
        containerID = mapping.containerID
        length = mapping.size
    }
}
