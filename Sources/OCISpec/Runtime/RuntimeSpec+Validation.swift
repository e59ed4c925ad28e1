internal import Core

/// A rule of the specification that a document breaks.
struct SpecViolation {
    let field: String
    let problem: String

    init(_ field: String, _ problem: String) {
        self.field = field
        self.problem = problem
    }
}

extension RuntimeSpec {
    /// Namespaces of the specification.
    public static let namespaceTypes = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]

    /// Refuses what breaks the specification, before anything is made of it.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) with the field's path, its value and the rule.
    public func validate() throws {
        let found = violation()
        if let found { throw BerthError(.invalidArgument, "config.json: \(found.field): \(found.problem)") }
    }

    private func violation() -> SpecViolation? {
        versionViolation() ?? rootViolation() ?? process?.violation(at: "process") ?? mountViolation()
            ?? hookViolation() ?? namespaceViolation() ?? hostnameViolation() ?? mappingViolation()
            ?? sysctlViolation() ?? linux?.violation()
    }

    private func versionViolation() -> SpecViolation? {
        if ociVersion.isEmpty { return SpecViolation("ociVersion", "must not be empty") }
        let core = ociVersion.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)[0]
            .split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)[0]
        let numbers = core.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
        guard numbers.count == 3, numbers.allSatisfy({ $0 != nil }) else {
            return SpecViolation(
                "ociVersion", "\"\(ociVersion.prefix(64))\" is no semantic version (MAJOR.MINOR.PATCH)")
        }
        guard numbers[0] == 1 else {
            return SpecViolation(
                "ociVersion", "\"\(ociVersion.prefix(64))\" is not supported; known are 1.0.0 to \(Self.version)")
        }
        return nil
    }

    private func rootViolation() -> SpecViolation? {
        guard let root else { return SpecViolation("root", "is missing") }
        if root.path.isEmpty { return SpecViolation("root.path", "must not be empty") }
        return zero(root.path, "root.path")
    }

    private func mountViolation() -> SpecViolation? {
        for (index, mount) in (mounts ?? []).enumerated() {
            let field = "mounts[\(index)]"
            if mount.destination.isEmpty { return SpecViolation("\(field).destination", "must not be empty") }
            if let found = zero(mount.destination, "\(field).destination") { return found }
            if let found = zero(mount.source ?? "", "\(field).source") { return found }
            let options = mount.options ?? []
            let isBind = options.contains("bind") || options.contains("rbind") || mount.type == "bind"
            if isBind, (mount.source ?? "").isEmpty {
                return SpecViolation("\(field).source", "must not be empty for a bind mount")
            }
            if !isBind, (mount.type ?? "").isEmpty, !options.contains("remount"), !isPropagationOnly(options) {
                return SpecViolation("\(field).type", "is missing and the options have no bind")
            }
            let hasMappings = mount.uidMappings?.isEmpty == false || mount.gidMappings?.isEmpty == false
            if hasMappings, mount.uidMappings?.isEmpty != false || mount.gidMappings?.isEmpty != false {
                return SpecViolation(field, "has only one of uidMappings and gidMappings")
            }
        }
        return nil
    }

    private func isPropagationOnly(_ options: [String]) -> Bool {
        let names: Set = [
            "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable",
        ]
        return !options.isEmpty && options.allSatisfy(names.contains)
    }

    private func hookViolation() -> SpecViolation? {
        let lists: [(String, [Hook]?)] = [
            ("prestart", hooks?.prestart), ("createRuntime", hooks?.createRuntime),
            ("createContainer", hooks?.createContainer), ("startContainer", hooks?.startContainer),
            ("poststart", hooks?.poststart), ("poststop", hooks?.poststop),
        ]
        for (name, list) in lists {
            for (index, hook) in (list ?? []).enumerated() {
                let field = "hooks.\(name)[\(index)]"
                guard hook.path.hasPrefix("/") else {
                    return SpecViolation("\(field).path", "\"\(hook.path.prefix(128))\" must be absolute")
                }
                if let timeout = hook.timeout, timeout <= 0 {
                    return SpecViolation("\(field).timeout", "\(timeout) must be greater than 0")
                }
                for value in [hook.path] + (hook.args ?? []) + (hook.env ?? []) {
                    if let found = zero(value, field) { return found }
                }
            }
        }
        return nil
    }

    private func namespaceViolation() -> SpecViolation? {
        var seen = SeenTexts()
        for (index, namespace) in (linux?.namespaces ?? []).enumerated() {
            let field = "linux.namespaces[\(index)]"
            guard Self.namespaceTypes.contains(namespace.type) else {
                return SpecViolation(
                    "\(field).type",
                    "\"\(namespace.type.prefix(64))\" is unknown; known are \(Self.namespaceTypes.joined(separator: ", "))"
                )
            }
            if !seen.insert(namespace.type) {
                return SpecViolation("\(field).type", "\"\(namespace.type)\" stands there twice")
            }
            if let path = namespace.path, !path.isEmpty, !path.hasPrefix("/") {
                return SpecViolation("\(field).path", "\"\(path.prefix(128))\" must be absolute")
            }
        }
        return nil
    }

    /// A namespace of the list, new or joined.
    public func namespace(_ type: String) -> Linux.Namespace? {
        linux?.namespaces?.first { $0.type == type }
    }

    private func hostnameViolation() -> SpecViolation? {
        for (field, value) in [("hostname", hostname), ("domainname", domainname)] {
            guard let value, !value.isEmpty else { continue }
            if namespace("uts") == nil { return SpecViolation(field, "needs a uts namespace in linux.namespaces") }
            if value.utf8.count > 64 { return SpecViolation(field, "is longer than 64 bytes") }
            if let found = zero(value, field) { return found }
        }
        return nil
    }

    private func mappingViolation() -> SpecViolation? {
        let user = namespace("user")
        for (field, list) in [("uidMappings", linux?.uidMappings), ("gidMappings", linux?.gidMappings)] {
            guard let list, !list.isEmpty else { continue }
            if user == nil { return SpecViolation("linux.\(field)", "needs a user namespace in linux.namespaces") }
            for (index, mapping) in list.enumerated() {
                let field = "linux.\(field)[\(index)]"
                if mapping.size == 0 { return SpecViolation("\(field).size", "must be greater than 0") }
                let limit = UInt64(UInt32.max)
                if UInt64(mapping.containerID) + UInt64(mapping.size) > limit
                    || UInt64(mapping.hostID) + UInt64(mapping.size) > limit
                {
                    return SpecViolation(field, "reaches beyond the last id")
                }
            }
        }
        if let user, (user.path ?? "").isEmpty {
            for (field, list) in [("uidMappings", linux?.uidMappings), ("gidMappings", linux?.gidMappings)]
            where list?.isEmpty != false {
                return SpecViolation("linux.\(field)", "is missing for the new user namespace")
            }
        }
        return timeOffsetViolation()
    }

    private func timeOffsetViolation() -> SpecViolation? {
        guard let offsets = linux?.timeOffsets, !offsets.isEmpty else { return nil }
        guard let time = namespace("time"), (time.path ?? "").isEmpty else {
            return SpecViolation("linux.timeOffsets", "needs a new time namespace in linux.namespaces")
        }
        for (clock, offset) in offsets.sorted(by: { $0.key < $1.key }) {
            guard ["monotonic", "boottime"].contains(clock) else {
                return SpecViolation("linux.timeOffsets", "\"\(clock.prefix(32))\" must be monotonic or boottime")
            }
            if let nanoseconds = offset.nanosecs, nanoseconds > 999_999_999 {
                return SpecViolation("linux.timeOffsets.\(clock).nanosecs", "\(nanoseconds) is a second or more")
            }
        }
        return nil
    }

    /// Only what a namespace of the container confines may be set.
    private func sysctlViolation() -> SpecViolation? {
        let ipc: Set = [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
            "kernel.shmmni", "kernel.shm_rmid_forced",
        ]
        for (written, value) in (linux?.sysctl ?? [:]).sorted(by: { $0.key < $1.key }) {
            let name = Self.normalizedSysctl(written)
            let field = "linux.sysctl[\"\(written.prefix(128))\"]"
            if let found = zero(name + value, field) { return found }
            if name.split(separator: ".", omittingEmptySubsequences: false).contains(where: \.isEmpty)
                || name.contains("..")
            {
                return SpecViolation(field, "is no name of a kernel parameter")
            }
            let needed: String
            if name.hasPrefix("net.") {
                needed = "network"
            } else if ipc.contains(name) || name.hasPrefix("fs.mqueue.") {
                needed = "ipc"
            } else if name == "kernel.domainname" {
                needed = "uts"
            } else if name == "kernel.hostname" {
                return SpecViolation(field, "is set by the field hostname")
            } else if name.hasPrefix("user.") {
                needed = "user"
            } else {
                return SpecViolation(field, "is not confined by any namespace of the container")
            }
            guard namespace(needed) != nil else {
                return SpecViolation(field, "needs a \(needed) namespace in linux.namespaces")
            }
        }
        return nil
    }

    /// With dots as separators, whichever separator comes first in `name` (sysctl(8)): `net/ipv4/conf/eth0.1/x` has a
    /// dot within a component, which becomes a slash.
    public static func normalizedSysctl(_ name: String) -> String {
        guard let first = name.firstIndex(where: { $0 == "." || $0 == "/" }), name[first] == "/" else { return name }
        return String(name.map { $0 == "/" ? "." : $0 == "." ? "/" : $0 })
    }
}

func zero(_ text: String, _ field: String) -> SpecViolation? {
    text.utf8.contains(0) ? SpecViolation(field, "must not contain a zero byte") : nil
}
