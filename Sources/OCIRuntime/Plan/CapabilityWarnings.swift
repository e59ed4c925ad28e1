internal import Core
internal import OCISpec

/// What of `process.capabilities` a process does not get, in the words that engines know from runc.
enum CapabilityWarnings {
    static func of(_ process: RuntimeSpec.Process, _ facts: HostFacts) -> [String] {
        guard let sets = process.capabilities else { return [] }
        var warnings: [String] = []
        var unknown: [String] = []
        let lists = [sets.bounding, sets.effective, sets.inheritable, sets.permitted, sets.ambient]
        for name in lists.flatMap({ $0 ?? [] }) where !unknown.contains(name) {
            guard let capability = Capability(name: name), capability.rawValue <= facts.lastCapability else {
                unknown.append(name)
                continue
            }
        }
        if !unknown.isEmpty {
            let names = unknown.map { String($0.prefix(64)) }.joined(separator: " ")
            warnings.append("ignoring unknown or unavailable capabilities: [\(names)]")
        }
        // capabilities(7): ambient is what is permitted and inheritable.
        let needed = [sets.permitted ?? [], sets.inheritable ?? []]
        for name in sets.ambient ?? [] where !unknown.contains(name) && !needed.allSatisfy({ $0.contains(name) }) {
            warnings.append("can't raise ambient capability \(name): operation not permitted")
        }
        return warnings
    }
}
