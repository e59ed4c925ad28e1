internal import Core
internal import Foundation
internal import Yams

/// A manifest document as a tree, before anything is known about its fields.
enum ManifestValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([ManifestValue])
    case object([String: ManifestValue])

    /// What an error calls a value of this kind.
    var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "a mapping"
        }
    }

    /// The value as an error shows it, at most 120 characters.
    var shown: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): String(value.prefix(120))
        case .array(let items): "list of \(items.count)"
        case .object(let fields): "mapping of \(fields.keys.sorted().prefix(8).joined(separator: ", "))"
        }
    }
}

extension ManifestValue {
    /// Bounds of one manifest file, so that no input makes the parser large.
    enum Limit {
        static let bytes = 3 << 20
        static let values = 100_000
        static let depth = 100
    }

    /// The documents of a file: one JSON object, or YAML documents (JSON is one of those too).
    static func documents(in text: String) throws -> [ManifestValue] {
        if text.drop(while: \.isWhitespace).first == "{",
            let tree = try? JSONDecoder().decode(JSONTree.self, from: Data(text.utf8))
        {
            return [tree.value]
        }
        var budget = Limit.values
        return try compose(text).map { try ManifestValue($0, depth: 0, budget: &budget) }.filter { $0 != .null }
    }

    private static func compose(_ text: String) throws -> [Node] {
        do {
            // The sequence ends at an error as it does at the end, and holds it for who asks.
            var sequence = try Yams.compose_all(yaml: text)
            var nodes: [Node] = []
            while let node = sequence.next() { nodes.append(node) }
            if let error = sequence.error { throw error }
            return nodes
        } catch let error as YamlError {
            throw BerthError(.invalidArgument, "not valid YAML: \(oneLine(error))")
        }
    }

    private static func oneLine(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return "line \(mark.line), column \(mark.column): \(problem)"
        case .duplicatedKeysInMapping(let duplicates, let context):
            return "line \(context.mark.line): the same key twice in one mapping: \(duplicates.joined(separator: ", "))"
        case .reader(let problem, let offset, _, _):
            return "\(problem)\(offset.map { " at offset \($0)" } ?? "")"
        default:
            return "\(error)".split(separator: "\n").joined(separator: " ")
        }
    }

    private init(_ node: Node, depth: Int, budget: inout Int) throws {
        budget -= 1
        guard budget >= 0 else {
            throw BerthError(.invalidArgument, "manifest has more than \(Limit.values) values")
        }
        guard depth <= Limit.depth else {
            throw BerthError(.invalidArgument, "manifest is nested deeper than \(Limit.depth) levels")
        }
        switch node {
        case .scalar(let scalar):
            self = ManifestValue(scalar, of: node)
        case .sequence(let items):
            self = .array(try items.map { try ManifestValue($0, depth: depth + 1, budget: &budget) })
        case .mapping(let pairs):
            var fields: [String: ManifestValue] = [:]
            for (key, value) in pairs {
                guard case .scalar(let name) = key else {
                    throw BerthError(.invalidArgument, "a mapping key must be a plain string")
                }
                guard fields[name.string] == nil else {
                    throw BerthError(.invalidArgument, "the same key twice in one mapping: \(name.string)")
                }
                fields[name.string] = try ManifestValue(value, depth: depth + 1, budget: &budget)
            }
            self = .object(fields)
        default:
            throw BerthError(.invalidArgument, "an unresolved YAML alias")
        }
    }

    private init(_ scalar: Node.Scalar, of node: Node) {
        guard scalar.style == .plain || scalar.style == .any else {
            self = .string(scalar.string)
            return
        }
        if node.null != nil {
            self = .null
        } else if let value = node.bool {
            self = .boolean(value)
        } else if let value = Int64(scalar.string) ?? node.int.map(Int64.init) {
            self = .integer(value)
        } else if let value = node.float {
            self = .number(value)
        } else {
            self = .string(scalar.string)
        }
    }
}

/// JSON read through Foundation, which knows escapes that YAML's flow style does not.
private struct JSONTree: Decodable {
    let value: ManifestValue

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: Name.self) {
            let pairs = try container.allKeys.map {
                ($0.stringValue, try container.decode(JSONTree.self, forKey: $0).value)
            }
            value = .object(Dictionary(pairs, uniquingKeysWith: { first, _ in first }))
        } else if var container = try? decoder.unkeyedContainer() {
            var items: [ManifestValue] = []
            while !container.isAtEnd { items.append(try container.decode(JSONTree.self).value) }
            value = .array(items)
        } else {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                value = .null
            } else if let boolean = try? container.decode(Bool.self) {
                value = .boolean(boolean)
            } else if let integer = try? container.decode(Int64.self) {
                value = .integer(integer)
            } else if let number = try? container.decode(Double.self) {
                value = .number(number)
            } else {
                value = .string(try container.decode(String.self))
            }
        }
    }
}
