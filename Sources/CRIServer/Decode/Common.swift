internal import CRIAPI
internal import Core
internal import Engine

func required(_ value: String, field: String) throws -> String {
    guard !value.isEmpty else { throw BerthError(.invalidArgument, "\(field) is empty") }
    return value
}

func refuseWindows(_ isSet: Bool, field: String) throws {
    guard !isSet else { throw BerthError(.invalidArgument, "\(field) is set, but this is Linux") }
}

func userID(_ value: Int64, field: String) throws -> Int64 {
    guard (0...Int64(UInt32.max - 1)).contains(value) else {
        throw BerthError.invalid(field: field, value: value, rule: "is not between 0 and \(UInt32.max - 1)")
    }
    return value
}

extension NamespaceOptions {
    init(_ wire: Runtime_V1_NamespaceOption, field: String) throws {
        self.init()
        network = try Self.mode(wire.network, "\(field).network", allowed: [.pod, .node])
        pid = try Self.mode(wire.pid, "\(field).pid", allowed: [.pod, .container, .node, .target])
        ipc = try Self.mode(wire.ipc, "\(field).ipc", allowed: [.pod, .node])
        targetID = wire.targetID
        if pid == .target, targetID.isEmpty {
            throw BerthError(.invalidArgument, "\(field).target_id is empty, while \(field).pid is TARGET")
        }
        if wire.hasUsernsOptions {
            let options = wire.usernsOptions
            user = UserNamespaceOptions(
                mode: try Self.mode(options.mode, "\(field).userns_options.mode", allowed: [.pod, .node]),
                uids: options.uids.map(IDMapping.init), gids: options.gids.map(IDMapping.init))
        }
    }

    private static func mode(_ wire: Runtime_V1_NamespaceMode, _ field: String, allowed: [Mode]) throws -> Mode {
        let mode: Mode? =
            switch wire {
            case .pod: .pod
            case .container: .container
            case .node: .node
            case .target: .target
            case .UNRECOGNIZED: nil
            }
        guard let mode, allowed.contains(mode) else {
            throw BerthError.invalid(
                field: field, value: "\(wire)",
                rule: "must be one of \(allowed.map(\.rawValue).joined(separator: ", "))")
        }
        return mode
    }
}

extension IDMapping {
    init(_ wire: Runtime_V1_IDMapping) {
        self.init(containerID: wire.containerID, hostID: wire.hostID, size: wire.length)
    }
}

extension SELinuxOptions {
    init(_ wire: Runtime_V1_SELinuxOption) {
        self.init(user: wire.user, role: wire.role, type: wire.type, level: wire.level)
    }
}

extension SupplementalGroupsPolicy {
    init(_ wire: Runtime_V1_SupplementalGroupsPolicy, field: String) throws {
        switch wire {
        case .merge: self = .merge
        case .strict: self = .strict
        case .UNRECOGNIZED(let value):
            throw BerthError.invalid(field: field, value: value, rule: "is not a known policy")
        }
    }
}

extension SecurityProfile {
    /// - Parameter legacy: the deprecated string form (`runtime/default`, `unconfined`, `localhost/NAME`).
    static func decode(_ wire: Runtime_V1_SecurityProfile?, legacy: String, field: String) throws -> SecurityProfile? {
        if let wire {
            switch wire.profileType {
            case .runtimeDefault: return .runtimeDefault
            case .unconfined: return .unconfined
            case .localhost: return .localhost(try required(wire.localhostRef, field: "\(field).localhost_ref"))
            case .UNRECOGNIZED(let value):
                throw BerthError.invalid(
                    field: "\(field).profile_type", value: value, rule: "is not a known profile type")
            }
        }
        switch legacy {
        case "": return nil
        case "runtime/default", "docker/default": return .runtimeDefault
        case "unconfined": return .unconfined
        case _ where legacy.hasPrefix("localhost/"): return .localhost(String(legacy.dropFirst("localhost/".count)))
        default:
            throw BerthError.invalid(
                field: field, value: legacy, rule: "must be runtime/default, unconfined or localhost/NAME")
        }
    }
}

extension LinuxResources {
    init(_ wire: Runtime_V1_LinuxContainerResources) {
        self.init()
        cpuPeriod = wire.cpuPeriod
        cpuQuota = wire.cpuQuota
        cpuShares = wire.cpuShares
        memoryLimit = wire.memoryLimitInBytes
        memorySwapLimit = wire.memorySwapLimitInBytes
        oomScoreAdjustment = wire.oomScoreAdj
        cpusetCPUs = wire.cpusetCpus
        cpusetMemories = wire.cpusetMems
        hugepageLimits = wire.hugepageLimits.map { HugepageLimit(pageSize: $0.pageSize, limit: $0.limit) }
        unified = wire.unified
    }
}
