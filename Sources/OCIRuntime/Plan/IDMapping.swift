internal import Core
internal import LaunchAPI
internal import OCISpec

extension HostFacts {
    /// Whether the kernel lets nobody change groups in a user namespace with these mappings: a user who maps his own
    /// group by himself has to give that up (user_namespaces(7)).
    func deniesSetgroups(_ linux: RuntimeSpec.Linux?) -> Bool {
        guard effectiveUserID != 0, let linux, let gids = linux.gidMappings, !gids.isEmpty else { return false }
        return isOwn(gids, effectiveGroupID)
    }

    private func isOwn(_ mappings: [RuntimeSpec.IDMapping], _ id: UInt32) -> Bool {
        mappings.count == 1 && mappings[0].size == 1 && mappings[0].hostID == id
    }

    /// How the ids of a new user namespace are mapped: root writes the files, a user without rights those of his own
    /// ids alone; the others are given by newuidmap(1) and newgidmap(1).
    func idMapping(_ linux: RuntimeSpec.Linux) throws -> Berth_Launch_V1_MapIDs {
        let uids = linux.uidMappings ?? []
        let gids = linux.gidMappings ?? []
        var message = Berth_Launch_V1_MapIDs()
        message.uids = uids.map(\.message)
        message.gids = gids.map(\.message)
        guard effectiveUserID != 0 else { return message }
        if isOwn(uids, effectiveUserID), isOwn(gids, effectiveGroupID) {
            message.denySetgroups = true
            return message
        }
        guard let idMapHelpers else {
            throw BerthError(
                .failedPrecondition,
                "config.json: linux.uidMappings: user \(effectiveUserID) may map only its own ids: newuidmap and newgidmap are not installed",
                advice: "install the package uidmap, or map one id")
        }
        message.uidHelper = idMapHelpers.uid
        message.gidHelper = idMapHelpers.gid
        return message
    }
}

extension [RuntimeSpec.IDMapping] {
    /// `nil` for one that is not mapped.
    func hostID(of id: UInt32) -> UInt32? {
        first { id >= $0.containerID && id - $0.containerID < $0.size }.map { $0.hostID + (id - $0.containerID) }
    }
}
