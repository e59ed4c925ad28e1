internal import NRIAPI
internal import SwiftProtobuf

/// Both sides of the conversation with one plugin, without I/O: bytes in, events out; calls in, bytes out.
struct PluginSession {
    enum Event {
        /// The plugin calls; it is to be answered on the same stream.
        case request(stream: UInt32, TTRPCRequest)
        /// What the plugin called for cannot be read.
        case refused(stream: UInt32, TTRPCStatus)
        /// The plugin answers.
        case answer(stream: UInt32, Result<[UInt8], CallFailure>)
    }

    private var incoming = Demultiplexer()
    private var ours = TTRPCDecoder()
    private var theirs = TTRPCDecoder()
    /// A stream's number is used once, and each is larger than the last.
    private var nextStream: UInt32 = 1
    private var open: Set<UInt32> = []

    /// - Throws: `ProtocolViolation`
    mutating func receive(_ bytes: [UInt8]) throws(ProtocolViolation) -> [Event] {
        var events: [Event] = []
        incoming.append(bytes)
        while let (connection, bytes) = try incoming.next() {
            switch connection {
            case Multiplexing.pluginService:
                ours.append(bytes)
                while let item = try ours.next() { if let event = try answer(item) { events.append(event) } }
            case Multiplexing.runtimeService:
                theirs.append(bytes)
                while let item = try theirs.next() { events.append(try request(item)) }
            // As the field does: a connection that nobody has opened.
            default: continue
            }
        }
        return events
    }

    private mutating func answer(_ item: TTRPCDecoder.Item) throws(ProtocolViolation) -> Event? {
        switch item {
        case .oversized(let stream, .response, let length):
            guard open.remove(stream) != nil else { return nil }
            return .answer(stream: stream, .failure(.tooLarge(length)))
        case .frame(let frame) where frame.kind == .response:
            // One that its caller gave up.
            guard open.remove(frame.stream) != nil else { return nil }
            return .answer(stream: frame.stream, Self.result(frame.data))
        default: throw ProtocolViolation("a request where only answers come")
        }
    }

    private static func result(_ data: [UInt8]) -> Result<[UInt8], CallFailure> {
        guard let response = try? TTRPCResponse(serializedBytes: data) else {
            return .failure(.unreadable("the answer is no message of ttrpc"))
        }
        guard response.status.code == 0 else {
            return .failure(.status(code: response.status.code, message: response.status.message))
        }
        return .success(Array(response.payload))
    }

    private func request(_ item: TTRPCDecoder.Item) throws(ProtocolViolation) -> Event {
        switch item {
        case .oversized(let stream, .request, let length):
            return .refused(
                stream: stream,
                .of(.resourceExhausted, "a message of \(length) bytes is larger than \(TTRPCFrame.dataLimit)"))
        case .frame(let frame) where frame.kind == .request:
            guard let request = try? TTRPCRequest(serializedBytes: frame.data) else {
                return .refused(stream: frame.stream, .of(.invalidArgument, "the request is no message of ttrpc"))
            }
            return .request(stream: frame.stream, request)
        default: throw ProtocolViolation("an answer where only requests come")
        }
    }

    /// - Throws: `CallFailure.tooLarge`
    mutating func call(
        _ service: String, _ method: String, _ payload: [UInt8], timeout: Duration
    ) throws(CallFailure) -> (stream: UInt32, bytes: [UInt8]) {
        let request = TTRPCRequest.with {
            $0.service = service
            $0.method = method
            $0.payload = .init(payload)
            $0.timeoutNano = timeout.nanoseconds
        }
        guard let data: [UInt8] = try? request.serializedBytes() else {
            throw .unreadable("the request has no wire form")
        }
        guard data.count <= TTRPCFrame.dataLimit else { throw .tooLarge(data.count) }
        let stream = nextStream
        let (following, overflow) = nextStream.addingReportingOverflow(2)
        guard !overflow else { throw .closed }
        nextStream = following
        open.insert(stream)
        let frame = TTRPCFrame(stream: stream, kind: .request, data: data)
        return (stream, Multiplexing.encode(frame.encoded(), on: Multiplexing.pluginService))
    }

    /// Its caller waits no longer.
    mutating func giveUp(_ stream: UInt32) {
        open.remove(stream)
    }

    static func answer(_ stream: UInt32, _ result: Result<[UInt8], TTRPCStatus>) -> [UInt8] {
        var response = TTRPCResponse()
        switch result {
        case .success(let payload): response.payload = .init(payload)
        case .failure(let status): response.status = status
        }
        var data: [UInt8] = (try? response.serializedBytes()) ?? []
        if data.count > TTRPCFrame.dataLimit {
            let refusal = TTRPCResponse.with { $0.status = .of(.resourceExhausted, "the answer is too large") }
            data = (try? refusal.serializedBytes()) ?? []
        }
        let frame = TTRPCFrame(stream: stream, kind: .response, data: data)
        return Multiplexing.encode(frame.encoded(), on: Multiplexing.runtimeService)
    }
}

/// Why a call to a plugin has no answer.
enum CallFailure: Error, Equatable, CustomStringConvertible {
    case closed
    case timedOut(Duration)
    case tooLarge(Int)
    case unreadable(String)
    /// The plugin says no.
    case status(code: Int32, message: String)

    /// Whether nothing can be expected of the plugin any more.
    var isFatal: Bool {
        if case .status = self { false } else { true }
    }

    var isUnimplemented: Bool {
        if case .status(let code, _) = self { code == TTRPCStatus.Code.unimplemented.rawValue } else { false }
    }

    var description: String {
        switch self {
        case .closed: "the connection is closed"
        case .timedOut(let limit): "no answer within \(limit)"
        case .tooLarge(let size): "a message of \(size) bytes is larger than \(TTRPCFrame.dataLimit)"
        case .unreadable(let what): what
        case .status(let code, let message): message.isEmpty ? "status \(code)" : message
        }
    }
}

extension TTRPCStatus: Error {
    /// Codes of gRPC that are used here.
    enum Code: Int32 {
        case invalidArgument = 3
        case resourceExhausted = 8
        case failedPrecondition = 9
        case unimplemented = 12
        case `internal` = 13
    }

    static func of(_ code: Code, _ message: String) -> TTRPCStatus {
        with {
            $0.code = code.rawValue
            $0.message = message
        }
    }
}

extension Duration {
    /// At most what fits.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product + attoseconds / 1_000_000_000
    }

    var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
