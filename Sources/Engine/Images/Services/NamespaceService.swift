internal import Core
internal import Store

/// Namespaces: separate views of everything else. One comes into being with the first thing in it, too.
public struct NamespaceService: Sendable {
    let database: Database
    let events: EventBus

    /// Labels of the namespace; empty for one that does not exist, since any name can be used without creating it.
    public func labels(of name: String) async throws -> [String: String] {
        try await database.read { try $0.namespace(name)?.labels ?? [:] }
    }

    /// By name.
    public func list() async throws -> [(name: String, labels: [String: String])] {
        try await database.read { try $0.namespaces().map { ($0.name, $0.labels) } }
    }

    public func create(_ name: String, labels: [String: String]) async throws {
        try Self.validate(name)
        try await database.write { transaction in
            guard try transaction.namespace(name) == nil else {
                throw BerthError(.alreadyExists, "namespace \"\(name)\" already exists")
            }
            try transaction.put(NamespaceRecord(name: name, labels: labels))
        }
        events.publish(StorageEvent(namespace: name, .namespaceCreate(name: name, labels: labels)))
    }

    /// Sets labels; a value that is empty removes its label.
    ///
    /// - Parameter replacingAll: also removes the labels that are not in `labels`.
    /// - Returns: the labels afterwards.
    public func update(
        _ name: String, labels: [String: String], replacingAll: Bool = false
    ) async throws -> [String: String] {
        try Self.validate(name)
        let result = try await database.write { transaction in
            let present = try transaction.namespace(name)?.labels ?? [:]
            let merged = (replacingAll ? [:] : present).merging(labels) { $1 }.filter { !$0.value.isEmpty }
            try transaction.put(NamespaceRecord(name: name, labels: merged))
            return merged
        }
        events.publish(StorageEvent(namespace: name, .namespaceUpdate(name: name, labels: result)))
        return result
    }

    /// - Throws: `BerthError` (`failedPrecondition`) that says what is still in it.
    public func delete(_ name: String) async throws {
        try await database.write { transaction in
            guard try transaction.namespace(name) != nil else { throw BerthError.notFound("namespace", name) }
            let contents = try transaction.contents(ofNamespace: name)
            guard contents.isEmpty else {
                throw BerthError(
                    .failedPrecondition,
                    "namespace \"\(name)\" must be empty, but it still has \(contents.joined(separator: ", "))")
            }
            try transaction.deleteNamespace(name)
        }
        events.publish(StorageEvent(namespace: name, .namespaceDelete(name: name)))
    }

    /// containerd's identifiers: 1 to 76 of `[A-Za-z0-9]`, with single `_`, `.` or `-` between them.
    public static func validate(_ name: String) throws {
        var previousIsSeparator = true
        var isValid = !name.isEmpty && name.utf8.count <= 76
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                previousIsSeparator = false
            case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                isValid = isValid && !previousIsSeparator
                previousIsSeparator = true
            default:
                isValid = false
            }
        }
        guard isValid, !previousIsSeparator else {
            throw BerthError.invalid(
                field: "namespace", value: name.prefix(100),
                rule: "must be 1 to 76 letters and digits, with single \"_\", \".\" or \"-\" between them")
        }
    }
}
