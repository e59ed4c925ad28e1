internal import Core
internal import NIOCore
internal import Synchronization

/// One connection with several streams, whatever the framing, for tasks.
///
/// Back-pressure both ways: a writer waits while more than `outputLimit` bytes wait for the socket or the peer's window
/// is shut; the socket is not read while a stream holds more than `inputLimit` bytes that nobody took.
final class MultiplexedConnection: Sendable {
    private static let outputLimit = 128 << 10
    private static let inputLimit = 256 << 10
    /// Streams that are open, or were reset and not looked after yet.
    static let streamLimit = 2 * SPDYFraming.streamLimit
    /// How long the peer may take to close after we said that we are done.
    private static let lingering = Duration.seconds(10)

    private struct State: ~Copyable {
        var framing: any Framing
        var streams: [UInt32: ByteQueue] = [:]
        /// Of streams that we opened: end when the peer has answered.
        var replies: [UInt32: ByteQueue] = [:]
        var isClosed = false
        var waitingForWindow: [CheckedContinuation<Void, Never>] = []
        var waitingForClose: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>
    private let output = ByteQueue(limit: outputLimit)
    /// Streams that the peer opened, in order.
    let accepted: AsyncStream<MultiplexedStream>
    private let acceptedContinuation: AsyncStream<MultiplexedStream>.Continuation

    /// - Parameter channels: of framings whose streams are there from the start.
    init(_ framing: sending any Framing, channels: [UInt32] = []) {
        state = Mutex(
            State(
                framing: framing,
                streams: Dictionary(uniqueKeysWithValues: channels.map { ($0, ByteQueue(limit: Self.inputLimit)) })))
        (accepted, acceptedContinuation) = AsyncStream.makeStream()
    }

    /// Moves bytes between the channel and the streams while `body` runs, and says good-bye after it.
    ///
    /// - Parameters:
    ///   - early: what came with the upgrade.
    ///   - lingers: wait a little for the peer to close: to close first, with bytes of the peer unread, makes the kernel
    ///     drop what the peer has not read yet. For servers; a client has all that it wants.
    func run<Result: Sendable>(
        _ channel: ChannelReader, _ writer: NIOAsyncChannelOutboundWriter<ByteBuffer>,
        early: [UInt8], lingers: Bool, body: @escaping @Sendable (MultiplexedConnection) async throws -> Result
    ) async throws -> Result {
        async let _: Void = read(channel, early: early)
        async let writing: Void = write(writer)
        let outcome: Swift.Result<Result, any Error>
        do {
            outcome = .success(try await body(self))
        } catch {
            outcome = .failure(error)
        }
        finish()
        // A slow peer gets all of it; one that is gone ends this too.
        await writing
        if lingers {
            let patience = Task {
                try await Pause.wait(for: Self.lingering)
                close()
            }
            await waitForClose()
            patience.cancel()
        }
        close()
        // Leaving cancels the reader, if it still waits.
        return try outcome.get()
    }

    // MARK: Streams

    func stream(_ id: UInt32) -> MultiplexedStream { MultiplexedStream(id: id, connection: self) }

    /// Opens a stream to the peer, and waits for its answer: some servers drop data that came before it.
    ///
    /// - Throws: `BerthError` (`aborted`) where it refuses, or the connection ends.
    func open(_ headers: [String: String]) async throws -> MultiplexedStream {
        let (id, reply) = try change { state in
            let id = try state.framing.open(headers)
            let reply = ByteQueue(limit: 1)
            state.streams[id] = ByteQueue(limit: Self.inputLimit)
            state.replies[id] = reply
            if state.isClosed { reply.finish(throwing: Self.closedError) }
            return (id, reply)
        }
        _ = try await reply.take()
        return stream(id)
    }

    func write(_ bytes: [UInt8], on id: UInt32) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            await output.waitForRoom()
            let part = rest
            let sent = try change { state -> Int in
                guard !state.isClosed else { throw Self.closedError }
                return state.framing.send(part, on: id)
            }
            rest = rest.dropFirst(sent)
            if sent == 0 { await waitForWindow(of: id) }
        }
    }

    func end(_ id: UInt32) { try? change { $0.framing.end(id) } }

    func reset(_ id: UInt32) {
        let queue = try? change { state in
            state.framing.reset(id)
            return state.streams.removeValue(forKey: id)
        }
        (queue ?? nil)?.finish()
    }

    /// - Returns: `nil` when the peer ended the stream.
    /// - Throws: `BerthError` (`aborted`) when the peer reset it, or the connection ended before.
    func read(_ id: UInt32) async throws -> [UInt8]? {
        guard let queue = state.withLock({ $0.streams[id] }) else { return nil }
        guard let bytes = try await queue.take() else { return nil }
        try? change { $0.framing.consumed(bytes.count, of: id) }
        return bytes
    }

    func discard(_ id: UInt32) { state.withLock { $0.streams[id] }?.discard() }

    /// No longer to be read or written.
    func forget(_ id: UInt32) { state.withLock { _ = $0.streams.removeValue(forKey: id) } }

    func sendEmptyMessage(on channel: UInt32) {
        try? change { state in
            guard var framing = state.framing as? ChannelFraming else { return }
            framing.sendEmpty(on: channel)
            state.framing = framing
        }
    }

    /// Returns when the peer has closed the connection, or it broke.
    func waitForClose() async {
        await withCheckedContinuation { continuation in
            let closed = state.withLock { state in
                if !state.isClosed { state.waitingForClose.append(continuation) }
                return state.isClosed
            }
            if closed { continuation.resume() }
        }
    }

    // MARK: Both directions

    static let closedError = BerthError(.aborted, "the connection was closed by the other side")

    /// Changes the state, and hands over what is to be sent in the order of the changes.
    private func change<Result: Sendable>(_ body: (inout State) throws -> Result) throws -> Result {
        try state.withLock { state in
            defer {
                let bytes = state.framing.takeOutput()
                if !bytes.isEmpty { output.put(bytes) }
            }
            return try body(&state)
        }
    }

    private func waitForWindow(of id: UInt32) async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                // What opened it meanwhile has been handled: asking once more costs nothing.
                let open = state.isClosed || state.framing.canSend(on: id)
                if !open { state.waitingForWindow.append(continuation) }
                return open
            }
            if ready { continuation.resume() }
        }
    }

    private func read(_ channel: ChannelReader, early: [UInt8]) async {
        do {
            try await receive(early)
            while let bytes = try await channel.next() { try await receive(bytes) }
        } catch {
            // Ended, broken or against the protocol: in each case this is the end.
        }
        close()
    }

    private func receive(_ bytes: [UInt8]) async throws {
        let events = try change { try $0.framing.receive(bytes) }
        var filled: [ByteQueue] = []
        for event in events { filled += [try handle(event)].compactMap(\.self) }
        let waiting = state.withLock { state in
            defer { state.waitingForWindow = [] }
            return state.waitingForWindow
        }
        for continuation in waiting { continuation.resume() }
        for queue in filled { await queue.waitForRoom() }
    }

    private func handle(_ event: FramingEvent) throws -> ByteQueue? {
        switch event {
        case .opened(let id, let headers):
            let count = state.withLock { state in
                state.streams[id] = ByteQueue(limit: Self.inputLimit)
                return state.streams.count
            }
            // Those that were opened and reset again count too, until their session has forgotten them.
            guard count <= Self.streamLimit else {
                throw BerthError(.resourceExhausted, "the other side opened more than \(Self.streamLimit) streams")
            }
            acceptedContinuation.yield(MultiplexedStream(id: id, connection: self, headers: headers))
        case .accepted(let id): state.withLock { $0.replies.removeValue(forKey: id) }?.finish()
        case .data(let id, let bytes):
            let queue = state.withLock { $0.streams[id] }
            let dropped = queue?.put(bytes) ?? bytes.count
            if dropped > 0 { try? change { $0.framing.consumed(dropped, of: id) } }
            return queue
        case .ended(let id): state.withLock { $0.streams[id] }?.finish()
        case .reset(let id):
            let error = BerthError(.aborted, "the other side took stream \(id) back")
            let (queue, reply) = state.withLock { ($0.streams[id], $0.replies.removeValue(forKey: id)) }
            for queue in [queue, reply] { queue?.finish(throwing: error) }
        case .closed: throw Self.closedError
        }
        return nil
    }

    private func write(_ writer: NIOAsyncChannelOutboundWriter<ByteBuffer>) async {
        do {
            while let bytes = try await output.take() { try await writer.write(ByteBuffer(bytes: bytes)) }
        } catch {
            close()
        }
    }

    /// Says that we are done; what was said before goes out first.
    private func finish() {
        try? change { $0.framing.close() }
        output.finish()
        for queue in state.withLock({ Array($0.streams.values) }) { queue.discard() }
    }

    /// Everybody who waits hears of the end.
    func close() {
        let (queues, waiting) = state.withLock { state in
            state.isClosed = true
            defer {
                state.waitingForWindow = []
                state.waitingForClose = []
            }
            return (Array(state.streams.values) + state.replies.values, state.waitingForWindow + state.waitingForClose)
        }
        for queue in queues { queue.finish(throwing: Self.closedError) }
        output.finish()
        for continuation in waiting { continuation.resume() }
        acceptedContinuation.finish()
    }
}

/// One stream of a connection.
struct MultiplexedStream: Sendable {
    let id: UInt32
    let connection: MultiplexedConnection
    /// With which the peer opened it, by lower-case name.
    var headers: [String: String] = [:]

    /// - Returns: `nil` at the end.
    func read() async throws -> [UInt8]? { try await connection.read(id) }
    func write(_ bytes: [UInt8]) async throws { try await connection.write(bytes, on: id) }
    /// Half-closes: nothing more comes from us.
    func end() { connection.end(id) }
    func reset() { connection.reset(id) }
    /// What still comes is dropped.
    func discard() { connection.discard(id) }
}
