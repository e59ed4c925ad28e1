/// A content digest `ALGORITHM:HEX` (image-spec, descriptor.md, "Digests").
public struct Digest: Hashable, Sendable {
    public enum Algorithm: String, Sendable, CaseIterable {
        case sha256
        case sha512

        /// Length of the digest in hexadecimal digits.
        public var hexLength: Int {
            switch self {
            case .sha256: 64
            case .sha512: 128
            }
        }
    }

    public let algorithm: Algorithm
    /// Lower-case hexadecimal digits, `algorithm.hexLength` of them.
    public let hex: String

    /// - Throws: `BerthError` (`invalidArgument`) for an unknown algorithm, a wrong length or a character outside `[0-9a-f]`.
    public init(_ text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw BerthError.invalid(field: "digest", value: text.prefix(160), rule: "must be ALGORITHM:HEX")
        }
        guard let algorithm = Algorithm(rawValue: String(parts[0])) else {
            throw BerthError.invalid(
                field: "digest", value: text.prefix(160), rule: "has an unknown algorithm; known are sha256 and sha512")
        }
        try self.init(algorithm: algorithm, hex: String(parts[1]))
    }

    public init(algorithm: Algorithm, hex: String) throws {
        let isHex = hex.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        guard isHex, hex.utf8.count == algorithm.hexLength else {
            throw BerthError.invalid(
                field: "digest", value: "\(algorithm.rawValue):\(hex.prefix(140))",
                rule: "must have \(algorithm.hexLength) lower-case hexadecimal digits")
        }
        self.algorithm = algorithm
        self.hex = hex
    }

    /// - Parameter bytes: the raw digest: 32 bytes for sha256, 64 for sha512.
    public init(algorithm: Algorithm, bytes: some Sequence<UInt8>) throws {
        let digits = Array("0123456789abcdef".utf8)
        let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        try self.init(algorithm: algorithm, hex: String(decoding: hex, as: UTF8.self))
    }
}

extension Digest: CustomStringConvertible {
    public var description: String { "\(algorithm.rawValue):\(hex)" }
}

extension Digest: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
