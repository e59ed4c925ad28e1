internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

extension CDIEdits {
    /// The nodes, with what they leave out taken from the host's.
    func hostDevices() throws -> [HostDevice] {
        try (deviceNodes ?? []).map { node in
            try PodValidation.absolute(node.path, field: "CDI device node")
            let access = node.permissions.flatMap { $0.isEmpty ? nil : $0 } ?? "rwm"
            var status: FileStatus?
            if node.type == nil || node.major == nil || node.minor == nil {
                let path = node.hostPath ?? node.path
                do {
                    status = try Syscall.stat(FilePath(path), follow: true)
                } catch {
                    throw BerthError(.invalidArgument, "CDI device node \(path)", cause: error)
                }
            }
            let kind = node.type ?? (status?.kind == .blockDevice ? "b" : status?.kind == .characterDevice ? "c" : "")
            guard ["b", "c"].contains(kind) else {
                throw BerthError.invalid(
                    field: "CDI device node", value: node.path, rule: "is no block or character device")
            }
            return HostDevice(
                path: node.path, kind: kind, major: node.major ?? Int64(status?.deviceNumber.major ?? 0),
                minor: node.minor ?? Int64(status?.deviceNumber.minor ?? 0),
                mode: node.fileMode ?? status?.permissions ?? 0o660, uid: node.uid ?? status?.uid ?? 0,
                gid: node.gid ?? status?.gid ?? 0, access: access)
        }
    }

    func specificationMounts() throws -> [RuntimeSpec.Mount] {
        try (mounts ?? []).map { mount in
            try PodValidation.absolute(mount.containerPath, field: "CDI mount")
            let type = mount.type.flatMap { $0.isEmpty ? nil : $0 } ?? "bind"
            return RuntimeSpec.Mount(
                destination: mount.containerPath, type: type, source: mount.hostPath,
                options: mount.options ?? (type == "bind" ? ["rbind", "rprivate"] : []))
        }
    }

    /// `nil` where there are none.
    func specificationHooks() throws -> RuntimeSpec.Hooks? {
        guard let hooks, !hooks.isEmpty else { return nil }
        var result = RuntimeSpec.Hooks()
        for hook in hooks {
            let entry = RuntimeSpec.Hook(path: hook.path, args: hook.args, env: hook.env, timeout: hook.timeout)
            switch hook.hookName {
            case "prestart": result.prestart = (result.prestart ?? []) + [entry]
            case "createRuntime": result.createRuntime = (result.createRuntime ?? []) + [entry]
            case "createContainer": result.createContainer = (result.createContainer ?? []) + [entry]
            case "startContainer": result.startContainer = (result.startContainer ?? []) + [entry]
            default:
                throw BerthError.invalid(
                    field: "CDI hook", value: hook.hookName,
                    rule: "must be one of prestart, createRuntime, createContainer, startContainer")
            }
        }
        return result
    }
}

extension CDIEdits {
    /// Changes a specification that is built already.
    func apply(to spec: inout RuntimeSpec) throws {
        for entry in env ?? [] {
            let name = entry.prefix { $0 != "=" }
            guard name.count < entry.count else { continue }
            let others = (spec.process?.env ?? []).filter { $0.prefix { $0 != "=" } != name }
            spec.process?.env = others + [entry]
        }
        let added = additionalGids ?? []
        if !added.isEmpty {
            let groups = spec.process?.user?.additionalGids ?? []
            spec.process?.user?.additionalGids = groups + added.filter { !groups.contains($0) }
        }
        var linux = spec.linux ?? RuntimeSpec.Linux()
        for device in try hostDevices() {
            var nodes = (linux.devices ?? []).filter { $0.path != device.path }
            nodes.append(device.specification)
            linux.devices = nodes
            var limits = linux.resources ?? .init()
            limits.devices = (limits.devices ?? []) + [device.rule]
            linux.resources = limits
        }
        spec.linux = linux
        for mount in try specificationMounts() {
            spec.mounts = (spec.mounts ?? []).filter { $0.destination != mount.destination } + [mount]
        }
        guard let hooks = try specificationHooks() else { return }
        spec.hooks = (spec.hooks ?? RuntimeSpec.Hooks()).followed(by: hooks)
    }
}

extension HostDevice {
    var specification: RuntimeSpec.Linux.Device {
        RuntimeSpec.Linux.Device(
            path: path, type: kind, major: major, minor: minor, fileMode: mode, uid: uid, gid: gid)
    }

    var rule: RuntimeSpec.Linux.Resources.DeviceRule {
        .init(allow: true, type: kind, major: major, minor: minor, access: access)
    }
}

extension RuntimeSpec.Hooks {
    /// These, and at each point `others` after them.
    func followed(by others: RuntimeSpec.Hooks) -> RuntimeSpec.Hooks {
        func joined(_ first: [RuntimeSpec.Hook]?, _ second: [RuntimeSpec.Hook]?) -> [RuntimeSpec.Hook]? {
            second == nil ? first : (first ?? []) + (second ?? [])
        }
        var result = RuntimeSpec.Hooks()
        result.prestart = joined(prestart, others.prestart)
        result.createRuntime = joined(createRuntime, others.createRuntime)
        result.createContainer = joined(createContainer, others.createContainer)
        result.startContainer = joined(startContainer, others.startContainer)
        result.poststart = joined(poststart, others.poststart)
        result.poststop = joined(poststop, others.poststop)
        return result
    }
}
