internal import Core
internal import LinuxKernel
internal import SystemPackage

/// Host ports of pods: elements of the nft table's maps, and a file per pod that has any.
struct PortForwards {
    /// Holds a file named by pod key with the commands for its elements, there before they are and until they are gone: a
    /// pod without one needs no look at nft.
    let directory: FilePath
    let bridge: String

    private func file(_ podID: String) -> FilePath { directory.appending(Ruleset.podKey(podID)) }

    func has(_ podID: String) -> Bool { Files.exists(file(podID)) }

    func add(
        _ mappings: [PortMapping], to addresses: [IPAddress], podID: String, _ scope: any NetworkScope
    ) throws {
        let elements = Ruleset.forwards(mappings, to: addresses, bridge: bridge, podID: podID)
        guard !elements.isEmpty else { return }
        do throws(Errno) {
            try Files.makeDirectories(directory, mode: 0o700)
            try Files.writeAtomically(file(podID), Array(elements.map(\.addition).joined().utf8))
        } catch {
            throw BerthError(.internal, "write \(file(podID))", cause: error)
        }
        do {
            _ = try scope.filter(elements.map(\.addition).joined(), json: false)
        } catch let error as NFTablesError where error.isExists {
            throw try taken(elements, scope)
        } catch {
            throw BerthError(
                .internal, "lead \(mappings.map(\.description).joined(separator: ", ")) to pod \(podID)", cause: error)
        }
    }

    /// Puts back what somebody flushed (`systemctl restart nftables` does); what is there stays.
    ///
    /// - Returns: what could not be put back, in words.
    func restore(_ scope: any NetworkScope) -> [String] {
        let names = ((try? Files.list(directory)) ?? []).filter { !$0.hasPrefix(".") }
        return names.compactMap { name in
            guard let commands = try? Files.readText(directory.appending(name)) else { return nil }
            do {
                _ = try scope.filter(commands + "\n", json: false)
                return nil
            } catch {
                return "host ports of pod \(name) are not served: \(error)"
            }
        }
    }

    /// Which port is taken, and by whom.
    private func taken(_ wanted: [Ruleset.Element], _ scope: any NetworkScope) throws -> BerthError {
        let present = try RulesetListing.elements(scope.filter(RulesetListing.command, json: true))
        for element in wanted {
            guard let other = present.first(where: { $0.set == element.set && $0.key == element.key }),
                other.owner != element.owner || other.value != element.value
            else { continue }
            let words = element.key.split(separator: " . ").map(String.init)
            let name = PortMapping.TransportProtocol.allCases.first { "\($0.number)" == words.dropLast().last }
            let port = "\(words.last ?? "")/\(name?.rawValue ?? "")"
            let pod = other.owner.split(separator: " ").last.map(String.init) ?? "another program"
            return BerthError(.alreadyExists, "host port \(port) is taken by pod \(pod)")
        }
        return BerthError(.alreadyExists, "a host port is taken by another pod")
    }

    func remove(podID: String, _ scope: any NetworkScope) throws {
        guard has(podID) else { return }
        let owner = Ruleset.owner(bridge: bridge, podID: podID)
        try delete(scope) { $0.owner == owner }
        try? Syscall.unlinkat(file(podID))
    }

    func remove(except kept: Set<String>, _ scope: any NetworkScope) throws {
        let keys = Set(kept.map(Ruleset.podKey))
        let owners = Set(keys.map { "\(bridge) \($0)" })
        try delete(scope) { $0.owner.hasPrefix("\(bridge) ") && !owners.contains($0.owner) }
        for name in (try? Files.list(directory)) ?? [] where !keys.contains(name) {
            try? Syscall.unlinkat(directory.appending(name))
        }
    }

    /// - Throws: `BerthError` (`failedPrecondition`) that names a missing mapping.
    func check(_ mappings: [PortMapping], to addresses: [IPAddress], podID: String, _ scope: any NetworkScope) throws {
        let wanted = Ruleset.forwards(mappings, to: addresses, bridge: bridge, podID: podID)
        guard !wanted.isEmpty else { return }
        let present = Set(try listing(scope) ?? [])
        for element in wanted where !present.contains(element) {
            throw BerthError(
                .failedPrecondition,
                "pod \(podID): the rule for host port \(element.key) is gone from nft's table berth")
        }
    }

    /// Takes everything of the bridge out of the table, and the table itself where nothing else is in it.
    func removeNetwork(_ scope: any NetworkScope) throws {
        try delete(scope) { $0.owner == bridge || $0.owner.hasPrefix("\(bridge) ") }
        guard let left = try listing(scope), left.isEmpty else { return }
        _ = try scope.filter("delete table \(Ruleset.table)\n", json: false)
    }

    private func delete(_ scope: any NetworkScope, where isDeleted: (Ruleset.Element) -> Bool) throws {
        let doomed = try (listing(scope) ?? []).filter(isDeleted)
        guard !doomed.isEmpty else { return }
        do {
            _ = try scope.filter(doomed.map(\.deletion).joined(), json: false)
        } catch {
            throw BerthError(.internal, "delete elements of nft's table berth", cause: error)
        }
    }

    /// - Returns: `nil` where the table, or nf_tables, does not exist.
    private func listing(_ scope: any NetworkScope) throws -> [Ruleset.Element]? {
        guard let json = try? scope.filter(RulesetListing.command, json: true) else { return nil }
        return try RulesetListing.elements(json)
    }
}
