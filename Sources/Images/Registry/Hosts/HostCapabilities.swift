internal import Core

/// What a host may be asked for (containerd's hosts.toml, `capabilities`).
struct HostCapabilities: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    /// Documents and blobs by digest.
    static let pull = HostCapabilities(rawValue: 1)
    /// What a tag means: only a host that is trusted with that.
    static let resolve = HostCapabilities(rawValue: 2)
    static let push = HostCapabilities(rawValue: 4)
    static let referrers = HostCapabilities(rawValue: 8)

    static let all: HostCapabilities = [.pull, .resolve, .push, .referrers]

    private static let names: [(String, HostCapabilities)] = [
        ("pull", .pull), ("resolve", .resolve), ("push", .push), ("referrers", .referrers),
    ]

    /// - Throws: `BerthError` (`invalidArgument`) that names the word that is none. No words at all mean everything.
    init(words: [String]) throws {
        self = words.isEmpty ? .all : []
        for word in words {
            guard let known = Self.names.first(where: { $0.0 == word.lowercased() }) else {
                throw BerthError.invalid(
                    field: "capabilities", value: RegistryAddress.printable(word, limit: 80),
                    rule: "must be one of \(Self.names.map(\.0).joined(separator: ", "))")
            }
            insert(known.1)
        }
    }

    init(rawValue: UInt8) { self.rawValue = rawValue }
}

extension HostCapabilities: CustomStringConvertible {
    var description: String { Self.names.filter { contains($0.1) }.map(\.0).joined(separator: ", ") }
}
