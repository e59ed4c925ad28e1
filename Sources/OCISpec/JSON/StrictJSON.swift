internal import Core

/// JSON from outside: bounded, duplicate keys refused, and errors that name the field.
public enum StrictJSON {
    /// - Parameters:
    ///   - what: what the document is, for errors: "image manifest sha256:...".
    ///   - limit: bytes; a longer document is refused unread.
    /// - Throws: `BerthError` (`invalidArgument`) such as `config.json: process.args[1]: must be a string, not a number`.
    public static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8], what: String, limit: Int = 16 << 20
    ) throws -> Value {
        let value = try parse(bytes, what: what, limit: limit)
        do {
            return try JSONDecoding(value: value, path: []).unbox(type)
        } catch let error as JSONFieldError {
            throw BerthError(.invalidArgument, "\(what): \(error)")
        } catch let error as DecodingError {
            throw BerthError(.invalidArgument, "\(what): \(JSONFieldError(error))")
        }
    }

    /// The same for a type that reads itself.
    public static func decode<Value: JSONDecodable>(
        _ type: Value.Type, from bytes: [UInt8], what: String, limit: Int = 16 << 20
    ) throws -> Value {
        let value = try parse(bytes, what: what, limit: limit)
        do throws(JSONFieldError) {
            return try Value(json: value)
        } catch {
            throw BerthError(.invalidArgument, "\(what): \(error)")
        }
    }

    /// The document as a value, for what has no fixed shape.
    public static func parse(_ bytes: [UInt8], what: String, limit: Int = 16 << 20) throws -> JSONValue {
        guard bytes.count <= limit else {
            throw BerthError(.invalidArgument, "\(what): is \(bytes.count) bytes long, more than the limit of \(limit)")
        }
        do throws(JSONSyntaxError) {
            return try JSONParser.parse(bytes)
        } catch {
            let line = bytes.prefix(error.offset).reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
            throw BerthError(
                .invalidArgument, "\(what): is no valid JSON: \(error.problem) (line \(line), offset \(error.offset))")
        }
    }

    /// A document without line ends, its members in their order.
    public static func text(_ value: JSONValue) -> [UInt8] {
        var writer = JSONWriter(pretty: false, sorted: false)
        writer.write(value)
        return writer.bytes
    }

    /// `pretty` indents by two spaces; keys are sorted, or stand in the order of their declaration.
    public static func encode(
        _ value: some Encodable, pretty: Bool = false, sorted: Bool = true
    ) throws -> [UInt8] {
        let slot = try JSONEncoding(.init(), sorted: sorted).slot(of: value)
        var writer = JSONWriter(pretty: pretty, sorted: sorted)
        writer.write(slot)
        return writer.bytes
    }
}

/// A value that does not fit its field.
public struct JSONFieldError: Error, CustomStringConvertible {
    let path: [any CodingKey]
    let problem: String

    init(_ path: [any CodingKey], _ problem: String) {
        self.path = path
        self.problem = problem
    }

    init(_ error: DecodingError) {
        switch error {
        case .keyNotFound(let key, let context): self.init(context.codingPath + [key], "is missing")
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            self.init(context.codingPath, context.debugDescription)
        @unknown default: self.init([], "\(error)")
        }
    }

    /// The same error, told by the value that holds this one.
    func below(_ keys: [any CodingKey]) -> JSONFieldError { JSONFieldError(keys + path, problem) }
    func below(_ key: JSONKey) -> JSONFieldError { below([key]) }

    public var description: String {
        var text = ""
        for key in path {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return text.isEmpty ? problem : "\(text): \(problem)"
    }
}

struct JSONKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = "\(intValue)"
        self.intValue = intValue
    }
}
