internal import Core

#if canImport(Glibc)
private import Glibc
#elseif canImport(Musl)
private import Musl
#endif

/// An IPv4 or IPv6 address, without a zone.
public struct IPAddress: Hashable, Sendable {
    public enum Family: String, Sendable, CaseIterable {
        case v4
        case v6

        /// Length of an address in bits.
        public var bits: Int { self == .v4 ? 32 : 128 }
    }

    public let family: Family
    /// The address as a number; the low 32 bits for IPv4.
    public let value: UInt128

    public init(family: Family, value: UInt128) {
        self.family = family
        self.value = family == .v4 ? value & 0xffff_ffff : value
    }

    /// - Throws: `BerthError` (`invalidArgument`) for what is no numeric address.
    public init(_ text: String) throws {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self.init(bytes: withUnsafeBytes(of: &v4) { Array($0) }, family: .v4)
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            self.init(bytes: withUnsafeBytes(of: &v6) { Array($0) }, family: .v6)
        } else {
            throw BerthError.invalid(field: "address", value: text.prefix(80), rule: "is no IPv4 or IPv6 address")
        }
    }

    /// - Parameter bytes: in network order: 4 for IPv4, 16 for IPv6; `nil` for another length.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(bytes: bytes, family: .v4)
        case 16: self.init(bytes: bytes, family: .v6)
        default: return nil
        }
    }

    private init(bytes: some Collection<UInt8>, family: Family) {
        self.init(family: family, value: bytes.reduce(0 as UInt128) { $0 << 8 | UInt128($1) })
    }

    /// The address in network order: 4 or 16 bytes.
    public var bytes: [UInt8] {
        let count = family.bits / 8
        return (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt128(8 * (count - 1 - $0))) }
    }

    /// `0.0.0.0` or `::`.
    public var isUnspecified: Bool { value == 0 }
}

extension IPAddress: Comparable {
    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        (left.family.bits, left.value) < (right.family.bits, right.value)
    }
}

extension IPAddress: CustomStringConvertible {
    public var description: String {
        var text = [CChar](repeating: 0, count: 64)
        let domain = family == .v4 ? AF_INET : AF_INET6
        let written = bytes.withUnsafeBytes { inet_ntop(domain, $0.baseAddress, &text, socklen_t(text.count)) }
        guard written != nil else { return "\(value)" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
