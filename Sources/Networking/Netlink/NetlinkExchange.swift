internal import SystemPackage

/// What is asked of the kernel; the sequence number is given when it is sent.
struct NetlinkRequest: Equatable {
    var type: UInt16
    /// Without `request` and `acknowledge`, which every request has.
    var flags: NetlinkFlags = []
    var payload: [UInt8]
    /// For error texts: `create veth x`.
    var purpose: String
}

/// Requests that go out in one datagram and the answers that come back, without I/O.
///
/// The kernel answers requests in order, each with an error message (0 for success), or, for a dump, with messages and a
/// `DONE`. After a failed request it goes on with the next one.
struct NetlinkExchange {
    private let firstSequence: UInt32
    private var answers: [[NetlinkMessage]]
    private var failures: [NetlinkError?]
    private var open: Set<Int>

    /// The datagram to send.
    let datagram: [UInt8]

    init(_ requests: [NetlinkRequest], firstSequence: UInt32) {
        self.firstSequence = firstSequence
        answers = requests.map { _ in [] }
        failures = requests.map { _ in nil }
        open = Set(requests.indices)
        datagram = requests.enumerated().flatMap { index, request in
            NetlinkMessage(
                type: request.type, flags: request.flags.union([.request, .acknowledge]),
                sequence: firstSequence &+ UInt32(index), payload: request.payload
            ).encoded
        }
    }

    var isComplete: Bool { open.isEmpty }

    /// Takes one datagram of the kernel in.
    mutating func receive(_ datagram: [UInt8]) throws(NetlinkError) {
        for message in try NetlinkMessage.decode(datagram) {
            let index = Int(message.sequence &- firstSequence)
            // What is left of an exchange that was given up earlier.
            guard open.contains(index) else { continue }
            switch message.type {
            case NetlinkMessage.errorType:
                failures[index] = try Self.failure(in: message, errorLength: 20)
                open.remove(index)
            case NetlinkMessage.doneType:
                failures[index] = try Self.failure(in: message, errorLength: 4)
                open.remove(index)
            default:
                answers[index].append(message)
            }
        }
    }

    /// One result per request, in order.
    var results: [Result<[NetlinkMessage], NetlinkError>] {
        zip(answers, failures).map { answers, failure in
            failure.map { .failure($0) } ?? .success(answers)
        }
    }

    /// - Parameter errorLength: how long the fixed part is: the errno, and in an error message the echoed header.
    private static func failure(in message: NetlinkMessage, errorLength: Int) throws(NetlinkError) -> NetlinkError? {
        guard let code = message.payload.integer(Int32.self, at: 0) else {
            throw .malformed("an error of \(message.payload.count) bytes")
        }
        guard code < 0 else { return nil }
        var explanation: String?
        if message.flags.contains(.explained) {
            var start = errorLength
            if errorLength > 4, !message.flags.contains(.capped) {
                let echoed = Int(message.payload.integer(UInt32.self, at: 4) ?? 16)
                start += max(0, (echoed + 3) & ~3 - 16)
            }
            explanation = NetlinkAttribute.decode(message.payload.dropFirst(start))[type: 1]?.text
        }
        return .refused(Errno(rawValue: -code), explanation: explanation)
    }
}
