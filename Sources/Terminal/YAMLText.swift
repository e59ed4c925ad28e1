internal import Core
private import Yams

extension JSONValue {
    /// Reads YAML, and so JSON too, with plain scalars typed by YAML's core rules.
    ///
    /// - Throws: `BerthError` (`invalidArgument`).
    public init(parsingYAML text: String) throws {
        do {
            guard let node = try compose(yaml: text) else {
                self = .null
                return
            }
            self = try JSONValue(node, depth: 0)
        } catch let error as YamlError {
            throw BerthError(.invalidArgument, "YAML: \(error)")
        }
    }

    private init(_ node: Node, depth: Int) throws {
        guard depth < 200 else { throw BerthError(.invalidArgument, "YAML: nested deeper than 200") }
        switch node {
        case .scalar(let scalar):
            self = JSONValue(scalar: scalar.string, tag: Resolver.default.resolveTag(of: node), node: node)
        case .sequence(let sequence):
            self = .array(try sequence.map { try JSONValue($0, depth: depth + 1) })
        case .mapping(let mapping):
            self = .object(
                try mapping.map { key, value in
                    guard case .scalar(let name) = key else {
                        throw BerthError(.invalidArgument, "YAML: a key must be a plain text")
                    }
                    return Member(name.string, try JSONValue(value, depth: depth + 1))
                })
        case .alias:
            throw BerthError(.invalidArgument, "YAML: unresolved alias")
        }
    }

    private init(scalar text: String, tag: Tag.Name, node: Node) {
        switch tag {
        case .bool: self = node.bool.map { .bool($0) } ?? .string(text)
        case .int: self = node.int.map { .number($0) } ?? .string(text)
        case .float: self = node.float.map { .number(String($0)) } ?? .string(text)
        case .null: self = .null
        default: self = .string(text)
        }
    }

    /// As YAML with the keys sorted, as crictl prints it; ends in a newline.
    public func renderedYAML() throws -> String {
        try serialize(node: node, indent: 2, width: -1, allowUnicode: true)
    }

    private var node: Node {
        switch self {
        case .null: Node("null", Tag(.null))
        case .bool(let value): Node(value ? "true" : "false", Tag(.bool))
        case .number(let digits): Node(digits, Tag(digits.contains { ".eE".contains($0) } ? .float : .int))
        case .string(let text): Self.node(of: text)
        case .array(let elements): Node(elements.map(\.node))
        case .object(let members):
            Node(members.sorted { $0.key < $1.key }.map { (Self.node(of: $0.key), $0.value.node) })
        }
    }

    /// A text that would be read back as a number, a boolean or null is quoted.
    private static func node(of text: String) -> Node {
        let isPlain = Resolver.default.resolveTag(of: Node(text, Tag(.implicit))) == .str
        return Node(text, Tag(.str), isPlain ? .any : .doubleQuoted)
    }
}
