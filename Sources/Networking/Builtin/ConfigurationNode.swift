internal import Core
internal import OCISpec

/// A value of a configuration file that knows its path: `plugins[0].ipam.subnet`.
struct ConfigurationNode {
    let value: JSONValue
    let path: String
    let source: String

    init(_ value: JSONValue, path: String, source: String) {
        self.value = value
        self.path = path
        self.source = source
    }

    func problem(_ rule: String) -> BerthError {
        let shown =
            switch value {
            case .string(let text), .number(let text): " \"\(text.prefix(80))\""
            default: ""
            }
        return BerthError(.invalidArgument, "\(source): \(path.isEmpty ? "the document" : path)\(shown) \(rule)")
    }

    func optional(_ key: String) -> ConfigurationNode? {
        value[key].map { ConfigurationNode($0, path: path.isEmpty ? key : "\(path).\(key)", source: source) }
    }

    func required(_ key: String) throws -> ConfigurationNode {
        guard let node = optional(key) else {
            throw BerthError(.invalidArgument, "\(source): \(path.isEmpty ? key : "\(path).\(key)") is missing")
        }
        return node
    }

    /// Refuses every key of the object that is not in `known`.
    func allow(_ known: String...) throws {
        guard case .object(let members) = value else { throw problem("must be an object") }
        for member in members where !known.contains(member.key) {
            throw BerthError(
                .invalidArgument,
                "\(source): \(path.isEmpty ? "" : "\(path).")\(member.key) is not known to the built-in network")
        }
    }

    func elements() throws -> [ConfigurationNode] {
        guard case .array(let elements) = value else { throw problem("must be an array") }
        return elements.enumerated().map { .init($1, path: "\(path)[\($0)]", source: source) }
    }

    func string() throws -> String {
        guard case .string(let text) = value else { throw problem("must be a string") }
        return text
    }

    func strings() throws -> [String] { try elements().map { try $0.string() } }

    func bool() throws -> Bool {
        guard case .bool(let flag) = value else { throw problem("must be true or false") }
        return flag
    }

    func integer() throws -> Int {
        guard case .number(let text) = value, let number = Int(text) else { throw problem("must be an integer") }
        return number
    }

    func address() throws -> IPAddress {
        guard let address = try? IPAddress(string()) else { throw problem("is no IPv4 or IPv6 address") }
        return address
    }

    func prefix() throws -> IPAddressPrefix {
        guard let prefix = try? IPAddressPrefix(string()) else { throw problem("must be ADDRESS/LENGTH") }
        return prefix
    }
}
