/// A file of the Container Device Interface: devices of one kind, and what a container needs for each of them.
struct CDISpecification: Decodable, Sendable {
    struct Device: Decodable, Sendable {
        var name: String
        var containerEdits: CDIEdits?
    }

    var cdiVersion: String
    /// `vendor.com/class`.
    var kind: String
    var devices: [Device]?
    /// For each container that gets any of the devices.
    var containerEdits: CDIEdits?
}

/// Changes of a container's configuration.
struct CDIEdits: Decodable, Sendable, Equatable {
    struct DeviceNode: Decodable, Sendable, Equatable {
        var path: String
        /// Where it is on the host; `nil`: at `path`.
        var hostPath: String?
        /// `c` or `b`; like the numbers, `nil` for what the host's node is.
        var type: String?
        var major: Int64?
        var minor: Int64?
        var fileMode: UInt32?
        var permissions: String?
        var uid: UInt32?
        var gid: UInt32?
    }

    struct Mount: Decodable, Sendable, Equatable {
        var hostPath: String
        var containerPath: String
        var options: [String]?
        var type: String?
    }

    struct Hook: Decodable, Sendable, Equatable {
        var hookName: String
        var path: String
        var args: [String]?
        var env: [String]?
        /// Seconds.
        var timeout: Int?
    }

    /// Of what is known only that it is there.
    struct Unread: Decodable, Sendable, Equatable {
        init(from decoder: any Decoder) throws {}
    }

    var env: [String]?
    var deviceNodes: [DeviceNode]?
    var mounts: [Mount]?
    var hooks: [Hook]?
    var additionalGids: [UInt32]?
    var intelRdt: Unread?
    var netDevices: [Unread]?

    init() {}

    /// These edits, and `others` after them.
    mutating func append(_ others: CDIEdits) {
        env = (env ?? []) + (others.env ?? [])
        deviceNodes = (deviceNodes ?? []) + (others.deviceNodes ?? [])
        mounts = (mounts ?? []) + (others.mounts ?? [])
        hooks = (hooks ?? []) + (others.hooks ?? [])
        additionalGids = (additionalGids ?? []) + (others.additionalGids ?? [])
        intelRdt = intelRdt ?? others.intelRdt
        netDevices = (netDevices ?? []) + (others.netDevices ?? [])
    }
}
