internal import Core

/// An address with the length of its network prefix, `10.85.0.7/16`: an interface's address or, with no host bits set, a network.
public struct IPAddressPrefix: Hashable, Sendable {
    public let address: IPAddress
    /// 0 to 32 or 128.
    public let length: Int

    /// - Throws: `BerthError` (`invalidArgument`) for a length that the family does not have.
    public init(_ address: IPAddress, length: Int) throws {
        guard (0...address.family.bits).contains(length) else {
            throw BerthError.invalid(
                field: "address", value: "\(address)/\(length)",
                rule: "has a prefix length outside 0 to \(address.family.bits)")
        }
        self.address = address
        self.length = length
    }

    /// - Parameter text: `ADDRESS/LENGTH`.
    public init(_ text: String) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = Int(parts[1]), parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw BerthError.invalid(field: "address", value: text.prefix(80), rule: "must be ADDRESS/LENGTH")
        }
        try self.init(IPAddress(String(parts[0])), length: length)
    }

    private init(unchecked address: IPAddress, length: Int) {
        self.address = address
        self.length = length
    }

    /// 0.0.0.0/0 or ::/0.
    public static func all(_ family: IPAddress.Family) -> IPAddressPrefix {
        IPAddressPrefix(unchecked: IPAddress(family: family, value: 0), length: 0)
    }

    /// `address` alone: /32 or /128.
    public static func host(_ address: IPAddress) -> IPAddressPrefix {
        IPAddressPrefix(unchecked: address, length: address.family.bits)
    }

    private var hostBits: Int { address.family.bits - length }

    private var hostMask: UInt128 { hostBits == 128 ? .max : (1 << UInt128(hostBits)) - 1 }

    /// The same prefix with the host bits cleared.
    public var network: IPAddressPrefix {
        IPAddressPrefix(unchecked: first, length: length)
    }

    /// The address with all host bits clear.
    public var first: IPAddress { IPAddress(family: address.family, value: address.value & ~hostMask) }

    /// The address with all host bits set: of an IPv4 network, the broadcast address.
    public var last: IPAddress { IPAddress(family: address.family, value: address.value | hostMask) }

    public func contains(_ other: IPAddress) -> Bool {
        other.family == address.family && first.value <= other.value && other.value <= last.value
    }

    public func overlaps(_ other: IPAddressPrefix) -> Bool {
        contains(other.first) || other.contains(first)
    }
}

extension IPAddressPrefix: CustomStringConvertible {
    public var description: String { "\(address)/\(length)" }
}

extension IPAddressPrefix: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
