internal import Core
public import OCISpec

extension Engine {
    /// What plugins make of a container's specification, with the devices that they want in it.
    func adjusted(_ spec: RuntimeSpec, of container: Container, in pod: PodSandbox) async throws -> RuntimeSpec {
        let adjustment = try await plugins.createContainer(container, spec: spec, in: pod)
        var result = adjustment.spec
        if !adjustment.cdiDevices.isEmpty {
            let edits = try CDIRegistry(directories: configuration.cdiDirectories).edits(for: adjustment.cdiDevices)
            try edits.apply(to: &result)
        }
        guard result != spec else { return spec }
        do { try result.validate() } catch {
            throw BerthError.wrapping(error, "what plugins made of container \"\(container.id)\" cannot be")
        }
        let cgroup = try cgroup(result, of: container)
        let limits = result.linux?.resources ?? .init()
        try registry.updateContainer(container.id) {
            $0.cgroup = cgroup
            $0.resources = $0.resources.updated(by: ResourceTranslation.limits(limits))
        }
        return result
    }

    private func cgroup(_ spec: RuntimeSpec, of container: Container) throws -> String {
        guard let path = spec.linux?.cgroupsPath, path != container.cgroup else { return container.cgroup }
        guard unit(of: container.cgroup) == nil else {
            throw BerthError.invalid(
                field: "linux.cgroups_path", value: path,
                rule: "cannot be chosen by a plugin: systemd makes the cgroups here")
        }
        try PodValidation.absolute(path, field: "linux.cgroups_path")
        return path
    }

    /// What the container was made of; `nil` where that cannot be read.
    public func runtimeSpecification(of container: Container) -> RuntimeSpec? {
        try? specification(of: container)
    }
}
