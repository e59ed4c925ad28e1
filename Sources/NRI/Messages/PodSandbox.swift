internal import Engine
internal import NRIAPI

extension NRIPodSandbox {
    /// - Parameter namespaces: type and path of those that are pinned.
    init(_ pod: PodSandbox, namespaces: [(type: String, path: String)]) {
        self.init()
        id = pod.id
        name = pod.config.metadata.name
        uid = pod.config.metadata.uid
        namespace = pod.config.metadata.namespace
        labels = pod.labels
        annotations = pod.config.annotations
        runtimeHandler = pod.runtimeHandler
        pid = UInt32(clamping: pod.initProcess?.pid ?? 0)
        ips = pod.addresses
        if let overhead = pod.overhead { linux.podOverhead = NRILinuxResources(overhead) }
        if let resources = pod.resources { linux.podResources = NRILinuxResources(resources) }
        linux.cgroupParent = pod.config.cgroupParent
        linux.cgroupsPath = pod.cgroup
        linux.namespaces = namespaces.map { NRILinuxNamespace(type: $0.type, path: $0.path) }
    }
}
