internal import Core
internal import OCISpec

/// nft's JSON listing of the `berth` table (libnftables-json(5)), for who owns what.
enum RulesetListing {
    static let command = "list table inet berth"

    /// - Parameter json: what `command` printed.
    static func elements(_ json: String) throws -> [Ruleset.Element] {
        let document = try StrictJSON.parse(Array(json.utf8), what: "nftables listing", limit: 64 << 20)
        guard case .array(let objects)? = document["nftables"] else { return [] }
        return objects.flatMap { object -> [Ruleset.Element] in
            guard let body = object["set"] ?? object["map"], case .string(let name)? = body["name"],
                case .array(let elements)? = body["elem"]
            else { return [] }
            let isMap = object["map"] != nil
            return elements.compactMap { element(isMap ? $0[index: 0] : $0, value: $0[index: 1], in: name) }
        }
    }

    private static func element(_ key: JSONValue?, value: JSONValue?, in set: String) -> Ruleset.Element? {
        guard let key, var text = words(key["elem"]?["val"] ?? key) else { return nil }
        // Names of interfaces may have characters that nft's language has a use for.
        if set == "bridges" { text = "\"\(text)\"" }
        var owner = ""
        if case .string(let comment)? = key["elem"]?["comment"] { owner = comment }
        return Ruleset.Element(set: set, key: text, value: value.flatMap(words), owner: owner)
    }

    /// nft shows a protocol's name where the machine has /etc/protocols.
    private static let protocols = Dictionary(
        uniqueKeysWithValues: PortMapping.TransportProtocol.allCases.map { ($0.rawValue, "\($0.number)") })

    /// A key or value in the words of nft's own language.
    private static func words(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): return protocols[text] ?? text
        case .number(let text): return text
        case .object:
            if case .array(let parts)? = value["concat"] {
                let texts = parts.compactMap(words)
                return texts.count == parts.count ? texts.joined(separator: " . ") : nil
            }
            guard let prefix = value["prefix"], let address = prefix["addr"].flatMap(words),
                let length = prefix["len"].flatMap(words)
            else { return nil }
            return "\(address)/\(length)"
        default: return nil
        }
    }
}

extension JSONValue {
    subscript(index index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }
}
