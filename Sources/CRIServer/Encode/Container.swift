internal import CRIAPI
internal import Engine

extension Runtime_V1_ContainerMetadata {
    init(_ metadata: ContainerMetadata) {
        self.init()
        name = metadata.name
        attempt = metadata.attempt
    }
}

extension Runtime_V1_ImageSpec {
    init(_ image: ImageRequest) {
        self.init()
        self.image = image.image
        annotations = image.annotations
        userSpecifiedImage = image.userSpecifiedImage
        runtimeHandler = image.runtimeHandler
    }
}

extension ContainerState {
    var wire: Runtime_V1_ContainerState {
        switch phase {
        case .created: .containerCreated
        case .running: .containerRunning
        case .exited: .containerExited
        case .unknown: .containerUnknown
        }
    }
}

extension Runtime_V1_Container {
    init(_ container: Container) {
        self.init()
        id = container.id
        podSandboxID = container.podID
        metadata = Runtime_V1_ContainerMetadata(container.config.metadata)
        image = Runtime_V1_ImageSpec(container.config.image)
        imageRef = container.imageReference
        imageID = container.imageID
        state = container.state.wire
        createdAt = container.createdAt
        labels = container.labels
        annotations = container.config.annotations
    }
}

extension Runtime_V1_ContainerStatus {
    init(_ container: Container) {
        self.init()
        id = container.id
        metadata = Runtime_V1_ContainerMetadata(container.config.metadata)
        state = container.state.wire
        createdAt = container.createdAt
        if case .running(let started) = container.state { startedAt = started }
        if let exit = container.state.exit {
            startedAt = exit.startedAt
            finishedAt = exit.finishedAt
            exitCode = exit.code
            reason = exit.reason
            message = exit.message
        }
        image = Runtime_V1_ImageSpec(container.config.image)
        if let name = container.imageName { image.image = name }
        imageRef = container.imageReference
        imageID = container.imageID
        labels = container.labels
        annotations = container.config.annotations
        mounts = container.config.mounts.enumerated().map { index, mount in
            Runtime_V1_Mount(mount, imageID: container.mountedImages?["\(index)"])
        }
        logPath = container.logPath
        resources = Runtime_V1_ContainerResources.with {
            $0.linux = Runtime_V1_LinuxContainerResources(container.resources)
        }
        if let user = container.user {
            self.user = Runtime_V1_ContainerUser.with {
                $0.linux.uid = Int64(user.uid)
                $0.linux.gid = Int64(user.gid)
                $0.linux.supplementalGroups = user.additionalGIDs.map(Int64.init)
            }
        }
        stopSignal = StopSignal.signal(of: container.stopSignal)
    }
}

extension Runtime_V1_Mount {
    /// - Parameter imageID: of the image that is mounted.
    init(_ mount: ContainerMount, imageID: String?) {
        self.init()
        if let request = mount.image {
            image = Runtime_V1_ImageSpec(request)
            image.imageRef = imageID ?? ""
            imageSubPath = mount.imageSubPath ?? ""
        }
        containerPath = mount.containerPath
        hostPath = mount.hostPath
        readonly = mount.readonly
        recursiveReadOnly = mount.recursiveReadonly
        selinuxRelabel = mount.selinuxRelabel
        propagation =
            switch mount.propagation {
            case .private: .propagationPrivate
            case .hostToContainer: .propagationHostToContainer
            case .bidirectional: .propagationBidirectional
            }
        uidMappings = mount.uidMappings.map(Runtime_V1_IDMapping.init)
        gidMappings = mount.gidMappings.map(Runtime_V1_IDMapping.init)
        mountOptions = mount.options
    }
}

extension Runtime_V1_LinuxContainerResources {
    init(_ resources: LinuxResources) {
        self.init()
        cpuPeriod = resources.cpuPeriod
        cpuQuota = resources.cpuQuota
        cpuShares = resources.cpuShares
        memoryLimitInBytes = resources.memoryLimit
        memorySwapLimitInBytes = resources.memorySwapLimit
        oomScoreAdj = resources.oomScoreAdjustment
        cpusetCpus = resources.cpusetCPUs
        cpusetMems = resources.cpusetMemories
        hugepageLimits = resources.hugepageLimits.map { limit in
            Runtime_V1_HugepageLimit.with {
                $0.pageSize = limit.pageSize
                $0.limit = limit.limit
            }
        }
        unified = resources.unified
    }
}
