/// A type that reads itself out of a parsed document.
///
/// What berth-oci reads whenever it runs does so by this: `Codable` finds its containers by searching all conformances of
/// the program, once for every type, and that took more than half of the time to a running container. Other decoders come
/// here too, so there is one reader for each type.
public protocol JSONDecodable: Decodable {
    /// - Throws: `JSONFieldError` with the path below this value.
    init(json: JSONValue) throws(JSONFieldError)
}

extension JSONDecodable {
    public init(from decoder: any Decoder) throws {
        let value = try JSONValue(from: decoder)
        do throws(JSONFieldError) {
            try self.init(json: value)
        } catch {
            throw error.below(decoder.codingPath)
        }
    }
}

/// The members of an object. `null` is as good as absent.
public struct JSONObject {
    private let members: [JSONValue.Member]

    public init(_ value: JSONValue) throws(JSONFieldError) {
        guard case .object(let members) = value else { throw value.mismatch("an object") }
        self.members = members
    }

    public func optional<Value: JSONDecodable>(_ key: String) throws(JSONFieldError) -> Value? {
        guard let value = members.first(where: { $0.key == key })?.value, value != .null else { return nil }
        return try read(value, key)
    }

    public func required<Value: JSONDecodable>(_ key: String) throws(JSONFieldError) -> Value {
        guard let value = members.first(where: { $0.key == key })?.value else {
            throw JSONFieldError([JSONKey(stringValue: key)], "is missing")
        }
        return try read(value, key)
    }

    private func read<Value: JSONDecodable>(_ value: JSONValue, _ key: String) throws(JSONFieldError) -> Value {
        do {
            return try Value(json: value)
        } catch {
            throw error.below(JSONKey(stringValue: key))
        }
    }
}

extension JSONValue {
    func mismatch(_ expected: String) -> JSONFieldError {
        JSONFieldError([], "must be \(expected), not \(kind)")
    }

    func bool() throws(JSONFieldError) -> Bool {
        guard case .bool(let flag) = self else { throw mismatch("a boolean") }
        return flag
    }

    func string() throws(JSONFieldError) -> String {
        guard case .string(let text) = self else { throw mismatch("a string") }
        return text
    }

    func integer<Value: FixedWidthInteger>(_ type: Value.Type) throws(JSONFieldError) -> Value {
        guard case .number(let text) = self else { throw mismatch("a number") }
        if let number = Value(text) { return number }
        // 1e3 and 1.0 are integers too; only what a Double holds exactly is taken.
        if let number = Double(text), let exact = Value(exactly: number), abs(number) < 9_007_199_254_740_992 {
            return exact
        }
        throw JSONFieldError([], "\(text.prefix(40)) is no integer from \(Value.min) to \(Value.max)")
    }

    func double() throws(JSONFieldError) -> Double {
        guard case .number(let text) = self else { throw mismatch("a number") }
        guard let number = Double(text), number.isFinite else {
            throw JSONFieldError([], "\(text.prefix(40)) is out of range")
        }
        return number
    }
}

extension Bool: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.bool() }
}

extension String: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.string() }
}

extension Int: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.integer(Int.self) }
}

extension Int32: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.integer(Int32.self) }
}

extension Int64: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.integer(Int64.self) }
}

extension UInt16: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.integer(UInt16.self) }
}

extension UInt32: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.integer(UInt32.self) }
}

extension UInt64: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) { self = try json.integer(UInt64.self) }
}

extension Array: JSONDecodable where Element: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) {
        guard case .array(let elements) = json else { throw json.mismatch("an array") }
        self = []
        reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            do {
                append(try Element(json: element))
            } catch {
                throw error.below(JSONKey(intValue: index))
            }
        }
    }
}

extension Dictionary: JSONDecodable where Key == String, Value: JSONDecodable {
    public init(json: JSONValue) throws(JSONFieldError) {
        guard case .object(let members) = json else { throw json.mismatch("an object") }
        self.init(minimumCapacity: members.count)
        for member in members {
            do {
                self[member.key] = try Value(json: member.value)
            } catch {
                throw error.below(JSONKey(stringValue: member.key))
            }
        }
    }
}
