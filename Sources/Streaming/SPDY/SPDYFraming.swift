internal import Core

/// One end of a SPDY/3.1 connection.
///
/// Flow control: what is received is always credited back. What is sent keeps to the peer's windows once the peer has
/// shown that it moves them (SETTINGS or WINDOW_UPDATE). The library of kubectl, crictl and the kubelet never does, so
/// towards it only TCP holds us up.
struct SPDYFraming: Framing {
    static let defaultWindow = 64 << 10
    /// Streams open at once; a port-forward has two for each connection.
    static let streamLimit = 2000
    /// Bytes of one data frame.
    private static let chunk = 32 << 10
    /// Bytes of a control frame.
    private static let controlLimit = 64 << 10

    private struct Stream {
        var sendWindow: Int
        var consumed = 0
        var localEnded = false
        var remoteEnded = false
    }

    private let isServer: Bool
    private var streams: [UInt32: Stream] = [:]
    private var lastPeerStream: UInt32 = 0
    private var nextStream: UInt32
    private var input: [UInt8] = []
    /// Of the data frame that is being received: its stream, the bytes that are missing, and whether it ends the stream.
    private var data: (stream: UInt32, left: Int, end: Bool)?
    private var output: [UInt8] = []
    private let compressor = HeaderCompressor()
    private let decompressor = HeaderDecompressor()

    private var peerCountsWindows = false
    private var peerInitialWindow = Self.defaultWindow
    private var connectionWindow = Self.defaultWindow
    private var connectionConsumed = 0

    init(isServer: Bool) {
        self.isServer = isServer
        nextStream = isServer ? 2 : 1
        if !isServer { announceWindow() }
    }

    /// Tells the other end that windows are counted here.
    private mutating func announceWindow() {
        output += SPDYFrame.settings([SPDYFrame.initialWindowSetting: UInt32(Self.defaultWindow)]).encoded
    }

    mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    // MARK: In

    mutating func receive(_ bytes: [UInt8]) throws -> [FramingEvent] {
        input += bytes
        var at = 0
        var events: [FramingEvent] = []
        while try step(&at, &events) {}
        input.removeFirst(at)
        return events
    }

    /// - Returns: whether anything was there to take.
    private mutating func step(_ at: inout Int, _ events: inout [FramingEvent]) throws -> Bool {
        if let data {
            let part = min(data.left, input.count - at)
            guard part > 0 || data.left == 0 else { return false }
            take(data.stream, Array(input[at..<at + part]), end: data.end && part == data.left, &events)
            at += part
            self.data = part == data.left ? nil : (data.stream, data.left - part, data.end)
            return true
        }
        guard input.count - at >= 8 else { return false }
        let head = Array(input[at..<at + 8])
        let length = Int(head[5]) << 16 | Int(head[6]) << 8 | Int(head[7])
        if head[0] & 0x80 == 0 {
            let stream = head[0..<4].reduce(0) { $0 << 8 | UInt32($1) }
            data = (stream, length, head[4] & SPDYFrame.finFlag != 0)
            at += 8
            return true
        }
        guard length <= Self.controlLimit else {
            throw BerthError(.invalidArgument, "a SPDY control frame of \(length) bytes")
        }
        guard input.count - at >= 8 + length else { return false }
        let frame = try SPDYFrame.control(head: head, payload: Array(input[at + 8..<at + 8 + length]))
        at += 8 + length
        try handle(frame, &events)
        return true
    }

    private mutating func take(_ id: UInt32, _ bytes: [UInt8], end: Bool, _ events: inout [FramingEvent]) {
        creditConnection(bytes.count)
        guard let stream = streams[id], !stream.remoteEnded else {
            // A stream that was closed here may still have data on its way.
            if id > lastPeerStream || id == 0, isPeers(id) {
                output += SPDYFrame.reset(id: id, status: SPDYFrame.ResetStatus.invalidStream).encoded
            }
            return
        }
        if !bytes.isEmpty { events.append(.data(stream: id, bytes)) }
        if end { endRemote(id, &events) }
    }

    /// A FIN may come in a frame of headers after the one that ended the stream.
    private mutating func endRemote(_ id: UInt32, _ events: inout [FramingEvent]) {
        guard streams[id]?.remoteEnded == false else { return }
        events.append(.ended(stream: id))
        streams[id]?.remoteEnded = true
        forgetIfOver(id)
    }

    /// Streams and pings of clients have odd numbers.
    private func isPeers(_ id: UInt32) -> Bool { id % 2 == (isServer ? 1 : 0) }

    private mutating func forgetIfOver(_ id: UInt32) {
        if let stream = streams[id], stream.localEnded, stream.remoteEnded { streams[id] = nil }
    }

    private mutating func handle(_ frame: SPDYFrame, _ events: inout [FramingEvent]) throws {
        switch frame {
        case .openStream(let id, let block, let end):
            // Read in any case: the blocks are one compressed stream.
            let headers = try SPDYHeaderBlock.decode(try decompressor.decompress(block))
            guard isPeers(id), id > lastPeerStream else {
                throw BerthError(.invalidArgument, "SPDY stream \(id) is opened after stream \(lastPeerStream)")
            }
            lastPeerStream = id
            guard streams.count < Self.streamLimit else {
                output += SPDYFrame.reset(id: id, status: SPDYFrame.ResetStatus.refusedStream).encoded
                return
            }
            streams[id] = Stream(sendWindow: peerInitialWindow)
            output +=
                SPDYFrame.reply(id: id, block: try compressor.compress(SPDYHeaderBlock.encode([:])), end: false)
                .encoded
            events.append(.opened(stream: id, headers: headers))
            if end { endRemote(id, &events) }
        case .reply(let id, let block, let end):
            _ = try decompressor.decompress(block)
            // The peer has nothing to answer where it opened the stream itself.
            guard streams[id] != nil, !isPeers(id) else { return }
            events.append(.accepted(stream: id))
            if end { endRemote(id, &events) }
        case .headers(let id, let block, let end):
            _ = try decompressor.decompress(block)
            if end { endRemote(id, &events) }
        case .reset(let id, _):
            if streams.removeValue(forKey: id) != nil { events.append(.reset(stream: id)) }
        case .settings(let values):
            guard let window = values[SPDYFrame.initialWindowSetting] else { return }
            // Before the reply to its first stream: a client that sends more than is taken here has its credits for our
            // output stand behind that, and neither side goes on.
            if isServer, !peerCountsWindows { announceWindow() }
            peerCountsWindows = true
            let change = Int(min(window, 1 << 30)) - peerInitialWindow
            peerInitialWindow += change
            for id in streams.keys { streams[id]?.sendWindow += change }
        case .ping(let id):
            // Ours are none: only the peer's come, with its parity.
            if isPeers(id) { output += SPDYFrame.ping(id).encoded }
        case .goAway: break
        case .windowUpdate(let id, let delta):
            peerCountsWindows = true
            if id == 0 {
                connectionWindow = min(connectionWindow + Int(delta), 1 << 31)
            } else if let window = streams[id]?.sendWindow {
                streams[id]?.sendWindow = min(window + Int(delta), 1 << 31)
            }
        case .unknown: break
        }
    }

    // MARK: Out

    mutating func open(_ headers: [String: String]) throws -> UInt32 {
        let id = nextStream
        guard id < 0x7FFF_FFFF, streams.count < Self.streamLimit else {
            throw BerthError(.resourceExhausted, "the SPDY connection has \(streams.count) streams already")
        }
        nextStream += 2
        streams[id] = Stream(sendWindow: peerInitialWindow)
        output +=
            SPDYFrame.openStream(
                id: id, block: try compressor.compress(SPDYHeaderBlock.encode(headers)), end: false
            ).encoded
        return id
    }

    mutating func send(_ bytes: ArraySlice<UInt8>, on id: UInt32) -> Int {
        // To a closed stream: gone, as with a closed pipe.
        guard let stream = streams[id], !stream.localEnded else { return bytes.count }
        let part = bytes.prefix(min(room(of: stream), Self.chunk))
        guard !part.isEmpty else { return 0 }
        output += SPDYFrame.dataHead(id: id, length: part.count, end: false)
        output += part
        streams[id]?.sendWindow -= part.count
        connectionWindow -= part.count
        return part.count
    }

    func canSend(on id: UInt32) -> Bool {
        guard let stream = streams[id], !stream.localEnded else { return true }
        return room(of: stream) > 0
    }

    private func room(of stream: Stream) -> Int {
        peerCountsWindows ? max(0, min(stream.sendWindow, connectionWindow)) : Int.max
    }

    mutating func end(_ id: UInt32) {
        guard let stream = streams[id], !stream.localEnded else { return }
        output += SPDYFrame.dataHead(id: id, length: 0, end: true)
        streams[id]?.localEnded = true
        forgetIfOver(id)
    }

    mutating func reset(_ id: UInt32) {
        guard streams.removeValue(forKey: id) != nil else { return }
        output += SPDYFrame.reset(id: id, status: SPDYFrame.ResetStatus.cancel).encoded
    }

    mutating func consumed(_ count: Int, of id: UInt32) {
        guard var stream = streams[id], !stream.remoteEnded else { return }
        stream.consumed += count
        if stream.consumed >= Self.defaultWindow / 2 {
            output += SPDYFrame.windowUpdate(id: id, delta: UInt32(stream.consumed)).encoded
            stream.consumed = 0
        }
        streams[id] = stream
    }

    /// The connection's own window is credited at once: what a stream does not take is bounded by that stream's.
    private mutating func creditConnection(_ count: Int) {
        connectionConsumed += count
        guard connectionConsumed >= Self.defaultWindow / 2 else { return }
        output += SPDYFrame.windowUpdate(id: 0, delta: UInt32(connectionConsumed)).encoded
        connectionConsumed = 0
    }

    mutating func close() {
        output += SPDYFrame.goAway(lastStream: lastPeerStream, status: 0).encoded
    }
}
