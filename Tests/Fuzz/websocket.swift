// sources: Core Streaming/WebSocket Streaming/SPDY Streaming/Connection/Framing.swift
// links: CZlib
// What a client sends over WebSocket: channels in binary and in base64, and SPDY within. The first byte says which.
internal import Core

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 2, count: max(0, count - 2)))
    let isServer = data[0] & 1 == 0
    let size = Int(data[1]) % 61 + 1
    switch data[0] >> 1 & 3 {
    case 0: messages(bytes, isServer: isServer, size: size)
    case 1:
        channels(
            ChannelFraming(isServer: isServer, channels: 0...4, isBase64: false, canEndChannels: true), bytes, size)
    case 2:
        channels(
            ChannelFraming(isServer: isServer, channels: 0...4, isBase64: true, canEndChannels: false), bytes, size)
    default: channels(TunneledSPDY(isServer: isServer), bytes, size)
    }
    return 0
}

/// One piece and many mean the same.
private func messages(_ bytes: [UInt8], isServer: Bool, size: Int) {
    let whole = taken(bytes, isServer: isServer, size: bytes.count)
    let pieces = taken(bytes, isServer: isServer, size: size)
    guard (whole == nil) == (pieces == nil) else { trap("refused in one piece or in many, not in both") }
    guard whole == pieces else { trap("\(whole ?? []) became \(pieces ?? [])") }
}

private func taken(_ bytes: [UInt8], isServer: Bool, size: Int) -> [WebSocketMessages.Event]? {
    var connection = WebSocketMessages(isServer: isServer)
    var events: [WebSocketMessages.Event] = []
    do {
        for piece in bytes.pieces(of: size) {
            events += try connection.receive(piece)
            _ = connection.takeOutput()
        }
    } catch is BerthError {
        return nil
    } catch {
        trap("an error of another kind: \(error)")
    }
    for case .message(let message, _) in events where message.count > WebSocketMessages.messageLimit {
        trap("a message of \(message.count) bytes")
    }
    return events
}

private func channels(_ framing: some Framing, _ bytes: [UInt8], _ size: Int) {
    var framing = framing
    onlyOwnErrors {
        for piece in bytes.pieces(of: size) {
            for event in try framing.receive(piece) {
                switch event {
                case .data(let stream, let data):
                    framing.consumed(data.count, of: stream)
                    if framing.canSend(on: stream) { _ = framing.send(data[...], on: stream) }
                case .ended(let stream): framing.end(stream)
                case .opened(let stream, _): framing.reset(stream)
                case .closed: framing.close()
                default: break
                }
            }
            _ = framing.takeOutput()
        }
    }
}

extension [UInt8] {
    fileprivate func pieces(of size: Int) -> [[UInt8]] {
        stride(from: 0, to: count, by: Swift.max(1, size)).map {
            Array(self[$0..<Swift.min(count, $0 + Swift.max(1, size))])
        }
    }
}
