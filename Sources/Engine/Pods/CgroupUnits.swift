internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

/// The systemd driver: pods are slices, containers are scopes in them. Where the driver is cgroupfs, none of this is done.
extension Engine {
    /// The name of pods and containers among systemd's units.
    private static let unitPrefix = "cri-berth"

    /// The unit of a pod's or a container's cgroup; `nil` where the files are written by this program alone.
    func unit(of cgroup: String) -> ManagedUnit? {
        guard case .systemd = driver else { return nil }
        return ManagedUnit(cgroup: cgroup)
    }

    /// A cgroup within a pod's, by the ID of what is in it.
    func cgroup(of id: String, in pod: PodSandbox) -> String {
        guard case .systemd = driver else { return "\(pod.cgroup)/\(id)" }
        return "\(pod.cgroup)/\(Self.unitPrefix)-\(id).scope"
    }

    /// The scope of a container as runtimes are told it, `SLICE:PREFIX:NAME`; `nil` where systemd makes no cgroups.
    func scopeName(of container: Container, in pod: PodSandbox) -> String? {
        guard case .systemd = driver, let slice = FilePath(pod.cgroup).lastComponent else { return nil }
        return "\(slice):\(Self.unitPrefix):\(container.id)"
    }

    /// The slice of a pod: the one that the kubelet made for it and names by its last component, or one of its own below
    /// the configured parent's.
    func slice(ofPod id: String, _ config: PodSandboxConfig, root: String) throws -> String {
        let given = FilePath(config.cgroupParent).lastComponent?.string
        let parent = FilePath(configuration.cgroupParent).lastComponent?.string ?? "berth"
        let slice = given ?? "\(parent.hasSuffix(".slice") ? String(parent.dropLast(6)) : parent)-\(id).slice"
        return try SystemdUnit(slice: "-.slice", name: slice).cgroup(below: root)
    }

    /// Starts the unit of `cgroup` around the process `pid`; a slice takes none.
    func startUnit(of cgroup: String, around pid: Int32, resources: LinuxResources?) async throws {
        guard let unit = unit(of: cgroup) else { return }
        let host = facts.cgroups
        let limits = resources.map { ResourceTranslation.specification($0, on: self.host) } ?? .init()
        try await BlockingWork.run {
            try unit.start(pid: pid, description: "Berth: \(unit.name)", resources: limits, annotations: [:], on: host)
        }
    }

    /// One that is gone already is no error; a manager that does not answer is no reason to keep the rest.
    func stopUnit(of cgroup: String) async {
        guard let unit = unit(of: cgroup) else { return }
        do {
            try await BlockingWork.run { try unit.stop() }
        } catch {
            logger.warning("could not stop a unit", metadata: ["unit": "\(unit.name)", "error": "\(error)"])
        }
    }
}
