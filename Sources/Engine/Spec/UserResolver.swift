internal import Core

/// Who a container's process runs as: names are looked up in the image's /etc/passwd and /etc/group, never the host's.
struct UserResolver {
    /// Larger files are refused, so that an image cannot fill the memory.
    static let fileLimit = 4 << 20
    private static let groupLimit = 65_536

    let files: any ImageFiles

    /// - Parameter imageUser: `USER[:GROUP]` of the image's configuration, each a name or a number.
    func resolve(_ security: ContainerSecurityContext, imageUser: String) throws -> ContainerUser {
        let (userText, groupText) = try requested(security, imageUser: imageUser)
        let entries = try passwd()
        let uid: UInt32
        let entry: PasswdEntry?
        if let number = UInt32(userText) {
            uid = number
            entry = entries.first { $0.uid == number }
        } else {
            guard let found = entries.first(where: { $0.name == userText }) else {
                throw BerthError(.invalidArgument, "user \"\(userText)\" is not in the image's /etc/passwd")
            }
            uid = found.uid
            entry = found
        }
        let groups = try self.groups()
        let gid: UInt32
        if groupText.isEmpty {
            gid = entry?.gid ?? 0
        } else if let number = UInt32(groupText) {
            gid = number
        } else {
            guard let found = groups.first(where: { $0.name == groupText }) else {
                throw BerthError(.invalidArgument, "group \"\(groupText)\" is not in the image's /etc/group")
            }
            gid = found.gid
        }
        var additional = [gid]
        if security.supplementalGroupsPolicy == .merge, let name = entry?.name {
            additional += groups.filter { $0.members.contains(name) }.map(\.gid)
        }
        additional += security.supplementalGroups.map { UInt32(clamping: $0) }
        var seen: Set<UInt32> = []
        additional = additional.filter { seen.insert($0).inserted }
        guard additional.count <= Self.groupLimit else {
            throw BerthError(
                .invalidArgument, "the process would have \(additional.count) groups, more than \(Self.groupLimit)")
        }
        return ContainerUser(uid: uid, gid: gid, additionalGIDs: additional)
    }

    /// The home directory of `uid`, for `HOME`.
    func home(of uid: UInt32) throws -> String {
        let home = try passwd().first { $0.uid == uid }?.home ?? ""
        return home.isEmpty ? (uid == 0 ? "/root" : "/") : home
    }

    private func requested(
        _ security: ContainerSecurityContext, imageUser: String
    ) throws -> (user: String, group: String) {
        let group = security.runAsGroup.map(String.init) ?? ""
        if let uid = security.runAsUser { return ("\(uid)", group) }
        if !security.runAsUsername.isEmpty { return (security.runAsUsername, group) }
        guard group.isEmpty else {
            throw BerthError(.invalidArgument, "run_as_group is set without run_as_user or run_as_username")
        }
        let parts = imageUser.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let user = parts.first ?? ""
        return (user.isEmpty ? "0" : user, parts.count > 1 ? parts[1] : "")
    }

    private struct PasswdEntry {
        let name: String
        let uid: UInt32
        let gid: UInt32
        let home: String
    }

    private struct GroupEntry {
        let name: String
        let gid: UInt32
        let members: [String]
    }

    /// Lines that are not of passwd(5)'s form are passed over, as the C library does.
    private func passwd() throws -> [PasswdEntry] {
        try lines("/etc/passwd").compactMap { fields in
            guard fields.count >= 4, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]) else { return nil }
            return PasswdEntry(name: fields[0], uid: uid, gid: gid, home: fields.count > 5 ? fields[5] : "")
        }
    }

    private func groups() throws -> [GroupEntry] {
        try lines("/etc/group").compactMap { fields in
            guard fields.count >= 3, let gid = UInt32(fields[2]) else { return nil }
            let members = fields.count > 3 ? fields[3].split(separator: ",").map(String.init) : []
            return GroupEntry(name: fields[0], gid: gid, members: members)
        }
    }

    private func lines(_ path: String) throws -> [[String]] {
        guard let bytes = try files.read(path, limit: Self.fileLimit) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map { line in
            line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
