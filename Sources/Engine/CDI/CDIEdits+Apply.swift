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
