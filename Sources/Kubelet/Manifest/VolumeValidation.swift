internal import Core

enum VolumeValidation {
    /// - Returns: the volumes by name.
    static func volumes(_ volumes: [Volume]) throws -> [String: Volume] {
        var byName: [String: Volume] = [:]
        for (index, volume) in volumes.enumerated() {
            let field = "spec.volumes[\(index)]"
            try require(
                ValidationRules.isLabel(volume.name), "\(field).name", volume.name.prefix(120), "must be a DNS label")
            try require(byName[volume.name] == nil, "\(field).name", volume.name, "is used twice in this pod")
            try source(of: volume, field)
            byName[volume.name] = volume
        }
        return byName
    }

    private static func source(of volume: Volume, _ field: String) throws {
        for (name, present) in [("configMap", volume.configMap != nil), ("secret", volume.secret != nil)] where present
        {
            throw refuse("\(field).\(name)", because: "a standalone node has no API server to read it from")
        }
        let sources = [volume.emptyDir != nil, volume.hostPath != nil, volume.downwardAPI != nil]
        let count = sources.filter { $0 }.count
        guard count == 1 else {
            throw BerthError.invalid(
                field: field, value: volume.name,
                rule: count == 0
                    ? "needs one of emptyDir, hostPath, downwardAPI" : "has more than one volume source")
        }
        if let limit = volume.emptyDir?.sizeLimit {
            try require(limit.billionths >= 0, "\(field).emptyDir.sizeLimit", limit, "must not be negative")
            if volume.emptyDir?.medium != .memory {
                throw refuse(
                    "\(field).emptyDir.sizeLimit", because: "it is enforced for medium Memory only")
            }
        }
        if let path = volume.hostPath?.path {
            try require(
                path.hasPrefix("/") && !ValidationRules.hasParentReference(path), "\(field).hostPath.path",
                path.prefix(200), "must be absolute and without '..'")
        }
        for (index, item) in (volume.downwardAPI?.items ?? []).enumerated() {
            try require(
                !item.path.isEmpty && !item.path.hasPrefix("/") && !ValidationRules.hasParentReference(item.path),
                "\(field).downwardAPI.items[\(index)].path", item.path.prefix(200), "must be relative and without '..'")
            if let mode = item.mode { try fileMode(mode, "\(field).downwardAPI.items[\(index)].mode") }
        }
        if let mode = volume.downwardAPI?.defaultMode { try fileMode(mode, "\(field).downwardAPI.defaultMode") }
    }

    private static func fileMode(_ mode: Int32, _ field: String) throws {
        try require((0...0o777).contains(mode), field, mode, "must be between 0 and 0777")
    }

    static func mounts(of container: Container, in volumes: [String: Volume], _ field: String) throws {
        var paths: Set<String> = []
        for (index, mount) in (container.volumeMounts ?? []).enumerated() {
            let field = "\(field).volumeMounts[\(index)]"
            try require(
                volumes[mount.name] != nil, "\(field).name", mount.name.prefix(120), "is not a volume of this pod")
            try require(
                mount.mountPath.hasPrefix("/") && mount.mountPath.split(separator: "/").isEmpty == false
                    && !mount.mountPath.contains(":") && !ValidationRules.hasParentReference(mount.mountPath),
                "\(field).mountPath", mount.mountPath.prefix(200),
                "must be an absolute path other than / and without ':' or '..'")
            try require(
                paths.insert(mount.mountPath).inserted, "\(field).mountPath", mount.mountPath, "is mounted twice")
            if let subPath = mount.subPath {
                try require(
                    !subPath.hasPrefix("/") && !ValidationRules.hasParentReference(subPath), "\(field).subPath",
                    subPath.prefix(200), "must be relative and without '..'")
            }
            if mount.mountPropagation == .bidirectional, container.securityContext?.privileged != true {
                throw BerthError.invalid(
                    field: "\(field).mountPropagation", value: "Bidirectional", rule: "needs a privileged container")
            }
        }
    }
}
