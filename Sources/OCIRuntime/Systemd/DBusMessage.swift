internal import Core

/// One D-Bus message (D-Bus Specification, "Message Format").
public struct DBusMessage: Sendable, Hashable {
    public enum Kind: UInt8, Sendable {
        case call = 1
        case reply = 2
        case error = 3
        case signal = 4
    }

    public var kind: Kind
    public var serial: UInt32
    public var replySerial: UInt32?
    public var path: String?
    public var interface: String?
    public var member: String?
    public var errorName: String?
    public var destination: String?
    public var body: [DBusValue]

    public init(
        _ kind: Kind, serial: UInt32, path: String? = nil, interface: String? = nil, member: String? = nil,
        destination: String? = nil, body: [DBusValue] = []
    ) {
        self.kind = kind
        self.serial = serial
        self.path = path
        self.interface = interface
        self.member = member
        self.destination = destination
        self.body = body
    }

    /// Of one message. The specification allows 128 MiB; systemd's manager sends a few hundred bytes.
    public static let sizeLimit = 1 << 20
    /// What must be there before `length(of:)` tells the rest.
    public static let fixedHeaderSize = 16

    // MARK: Encoding

    public func encoded() -> [UInt8] {
        var content = DBusEncoder()
        for value in body { content.append(value) }
        var header = DBusEncoder()
        header.append(.byte(UInt8(ascii: "l")))
        header.append(.byte(kind.rawValue))
        header.append(.byte(0))
        header.append(.byte(1))
        header.append(.uint32(UInt32(clamping: content.bytes.count)))
        header.append(.uint32(serial))
        header.append(.array(of: "(yv)", fields))
        header.align(8)
        return header.bytes + content.bytes
    }

    private var fields: [DBusValue] {
        var fields: [DBusValue] = []
        func add(_ code: UInt8, _ value: DBusValue?) {
            if let value { fields.append(.structure([.byte(code), .variant(value)])) }
        }
        add(1, path.map { .objectPath($0) })
        add(2, interface.map { .string($0) })
        add(3, member.map { .string($0) })
        add(4, errorName.map { .string($0) })
        add(5, replySerial.map { .uint32($0) })
        add(6, destination.map { .string($0) })
        let signature = body.map(\.signature).joined()
        add(8, signature.isEmpty ? nil : .signature(signature))
        return fields
    }

    // MARK: Decoding

    /// How long the message is whose first bytes these are; `nil` where there are fewer than `fixedHeaderSize`.
    public static func length(of prefix: some Collection<UInt8>) throws -> Int? {
        guard prefix.count >= fixedHeaderSize else { return nil }
        let head = Array(prefix.prefix(fixedHeaderSize))
        guard head[0] == UInt8(ascii: "l"), head[3] == 1 else {
            throw DBusDecoder.broken("byte order \(head[0]) or protocol version \(head[3]) is not known")
        }
        func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(head[at + $1]) << ($1 * 8) } }
        let length = (fixedHeaderSize + number(12) + 7) / 8 * 8 + number(4)
        guard length <= sizeLimit else { throw DBusDecoder.broken("\(length) bytes are more than \(sizeLimit)") }
        return length
    }

    /// - Parameter bytes: one whole message.
    public init(_ bytes: [UInt8]) throws {
        guard let length = try Self.length(of: bytes), length == bytes.count else {
            throw DBusDecoder.broken("has not the length that it tells")
        }
        var decoder = DBusDecoder(bytes, from: 1)
        let head = try decoder.values("yyyuua(yv)")
        guard case .byte(let code) = head[0], let kind = Kind(rawValue: code), case .uint32(let serial) = head[4],
            case .array(_, let fields) = head[5]
        else { throw DBusDecoder.broken("kind \(bytes[1]) is not known") }
        self.init(kind, serial: serial)
        var signature = ""
        for field in fields {
            guard case .structure(let pair) = field, pair.count == 2, case .byte(let code) = pair[0] else { continue }
            switch code {
            case 1: path = pair[1].text
            case 2: interface = pair[1].text
            case 3: member = pair[1].text
            case 4: errorName = pair[1].text
            case 5: replySerial = pair[1].number.flatMap { UInt32(exactly: $0) }
            case 6: destination = pair[1].text
            case 8: signature = pair[1].text ?? ""
            default: break
            }
        }
        try decoder.align(8)
        body = try decoder.values(signature)
    }
}

/// An error that the other side answered with.
public struct DBusFailure: Error, Sendable, CustomStringConvertible {
    /// `org.freedesktop.systemd1.UnitExists`.
    public let name: String
    public let message: String

    public var description: String { message.isEmpty ? name : "\(message) (\(name))" }
}
