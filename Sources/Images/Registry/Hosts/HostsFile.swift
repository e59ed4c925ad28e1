internal import Core
internal import TOMLKit

/// A `hosts.toml` (containerd, docs/hosts.md): the hosts that are asked for a registry's content, in the order of the file, and the
/// registry itself last.
struct HostsFile {
    /// What the file says of one host.
    struct Entry: Equatable {
        /// As written; empty for the file's own keys where it names no `server`.
        var address = ""
        var capabilities = HostCapabilities.all
        /// Paths as written, relative ones to the file's directory.
        var authorities: [String] = []
        /// Certificate and key; the key may be in the certificate's file.
        var clients: [[String]] = []
        var skipVerify: Bool?
        var headers: [HostHeader] = []
        var overridesPath = false
        /// Seconds.
        var dialTimeout: Double?
    }

    var hosts: [Entry] = []
    var server = Entry()

    static let sizeLimit = 1 << 20

    /// - Throws: `BerthError` (`invalidArgument`) that names the key that is wrong. Keys that nobody knows are left out, as
    ///   containerd does.
    init(_ text: String) throws {
        try TOMLText.check(text)
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw BerthError(.invalidArgument, "\(error.description) (line \(error.source.begin.line))")
        }
        server = try Self.entry(table, address: Self.string(table["server"], "server") ?? "", path: "")
        guard let found = table["host"] else { return }
        guard let named = found.table else { throw Self.wrong("host", "must be tables") }
        for name in Self.inOrder(named.keys, of: text) {
            guard let inner = named[name]?.table else { throw Self.wrong("host.\"\(name)\"", "must be a table") }
            hosts.append(try Self.entry(inner, address: name, path: "host.\"\(name)\"."))
        }
    }

    private static func entry(_ table: TOMLTable, address: String, path: String) throws -> Entry {
        var entry = Entry(address: address)
        do {
            entry.capabilities = try HostCapabilities(words: strings(table["capabilities"], "capabilities") ?? [])
            entry.authorities = try oneOrMore(table["ca"], "ca")
            entry.clients = try clients(table["client"])
            entry.skipVerify = try boolean(table["skip_verify"], "skip_verify")
            entry.headers = try headers(table["header"])
            entry.overridesPath = try boolean(table["override_path"], "override_path") ?? false
            entry.dialTimeout = try string(table["dial_timeout"], "dial_timeout").map(seconds)
        } catch {
            throw path.isEmpty ? error : BerthError.wrapping(error, "\(path.dropLast())")
        }
        return entry
    }

    // MARK: Values

    private static func string(_ value: (any TOMLValueConvertible)?, _ key: String) throws -> String? {
        guard let value else { return nil }
        guard value.type == .string, let text = value.string else { throw wrong(key, "must be a string") }
        return text
    }

    private static func boolean(_ value: (any TOMLValueConvertible)?, _ key: String) throws -> Bool? {
        guard let value else { return nil }
        guard value.type == .bool, let result = value.bool else { throw wrong(key, "must be true or false") }
        return result
    }

    private static func strings(_ value: (any TOMLValueConvertible)?, _ key: String) throws -> [String]? {
        guard let value else { return nil }
        guard let array = value.array else { throw wrong(key, "must be an array of strings") }
        return try array.map { element in
            guard element.type == .string, let text = element.string else {
                throw wrong(key, "must be an array of strings")
            }
            return text
        }
    }

    private static func oneOrMore(_ value: (any TOMLValueConvertible)?, _ key: String) throws -> [String] {
        guard let value else { return [] }
        if value.type == .string, let text = value.string { return [text] }
        return try strings(value, key) ?? []
    }

    /// A file, files, or pairs of certificate and key.
    private static func clients(_ value: (any TOMLValueConvertible)?) throws -> [[String]] {
        guard let value else { return [] }
        if value.type == .string, let text = value.string { return [[text]] }
        guard let array = value.array else { throw wrong("client", "must be a path, paths, or pairs of paths") }
        return try array.map { element in
            if element.type == .string, let text = element.string { return [text] }
            let pair = try strings(element, "client") ?? []
            guard pair.count == 2 else { throw wrong("client", "must be pairs of certificate and key") }
            return pair
        }
    }

    private static func headers(_ value: (any TOMLValueConvertible)?) throws -> [HostHeader] {
        guard let value else { return [] }
        guard let table = value.table else { throw wrong("header", "must be a table") }
        return try table.keys.sorted().flatMap { name in
            guard HostHeader.isName(name) else { throw wrong("header.\"\(name)\"", "is no name of a header") }
            return try oneOrMore(table[name], "header.\(name)").map { value in
                guard HostHeader.isValue(value) else { throw wrong("header.\(name)", "has a control character") }
                return HostHeader(name: name, value: value)
            }
        }
    }

    /// Go's notation: `300ms`, `1.5s`, `2m30s`.
    private static func seconds(_ text: String) throws -> Double {
        let units = ["h": 3600.0, "m": 60, "s": 1, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9]
        var rest = text[...]
        var sum = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest[number.endIndex...]
            let unit = rest.prefix { !$0.isNumber && $0 != "." }
            rest = rest[unit.endIndex...]
            guard let value = Double(number), let scale = units[String(unit)] else {
                throw wrong("dial_timeout", "must be a duration such as 5s, not \"\(text)\"")
            }
            sum += value * scale
        }
        guard sum > 0, sum <= 3600 else { throw wrong("dial_timeout", "must be more than 0 and at most 1h") }
        return sum
    }

    private static func wrong(_ key: String, _ rule: String) -> BerthError {
        BerthError(.invalidArgument, "\(RegistryAddress.printable(key, limit: 200)) \(rule)")
    }

    /// The order of the tables, which the parser does not keep: that of their headers `[host."NAME"...]`.
    private static func inOrder(_ keys: [String], of text: String) -> [String] {
        var order: [String: Int] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop { $0 == " " || $0 == "\t" }
            guard line.first == "[" else { continue }
            for key in keys where order[key] == nil && isHeader(line.dropFirst(), of: key) { order[key] = order.count }
        }
        // Inline tables and dotted keys have no header; those come last.
        return keys.sorted { (order[$0] ?? Int.max, $0) < (order[$1] ?? Int.max, $1) }
    }

    private static func isHeader(_ line: Substring, of key: String) -> Bool {
        func skippingSpaces(_ text: Substring) -> Substring { text.drop { $0 == " " || $0 == "\t" } }
        var rest = skippingSpaces(line)
        let word = [#""host""#, "'host'", "host"].first { rest.hasPrefix($0) }
        guard let word else { return false }
        rest = skippingSpaces(rest.dropFirst(word.count))
        guard rest.first == "." else { return false }
        rest = skippingSpaces(rest.dropFirst())
        let name = ["\"\(key)\"", "'\(key)'", key].first { rest.hasPrefix($0) }
        guard let name else { return false }
        rest = skippingSpaces(rest.dropFirst(name.count))
        return rest.first == "]" || rest.first == "."
    }
}

/// A header that goes with every request to a host.
struct HostHeader: Hashable, Sendable {
    let name: String
    let value: String

    /// RFC 9110, section 5.6.2, "token".
    static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Nothing that could end the header and begin another.
    static func isValue(_ text: String) -> Bool { text.utf8.allSatisfy { $0 == 9 || ($0 >= 0x20 && $0 != 0x7f) } }
}
