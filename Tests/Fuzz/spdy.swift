// sources: Core Streaming/SPDY Streaming/Connection/Framing.swift
// links: CZlib
// What a client of exec, attach or port-forward sends over SPDY/3.1, in pieces of varying size. Whatever it is: refused, or
// taken as the same events in one piece and in many, with answers that are frames themselves, and with bounded memory.
internal import Core

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 2, count: max(0, count - 2)))
    let isServer = data[0] & 1 == 0
    let whole = Conversation(isServer: isServer).take(bytes, size: bytes.count)
    let pieces = Conversation(isServer: isServer).take(bytes, size: Int(data[1]) % 61 + 1)
    guard whole.isRefused == pieces.isRefused else { trap("refused in one piece: \(whole.isRefused), else not") }
    guard whole.isRefused || whole.events == pieces.events else { trap("\(whole.events) became \(pieces.events)") }
    return 0
}

private struct Conversation {
    private var framing: SPDYFraming
    private(set) var events: [FramingEvent] = []
    private(set) var isRefused = false

    init(isServer: Bool) { framing = SPDYFraming(isServer: isServer) }

    consuming func take(_ bytes: [UInt8], size: Int) -> Conversation {
        var rest = bytes[...]
        while !rest.isEmpty, !isRefused {
            let piece = Array(rest.prefix(max(1, size)))
            rest = rest.dropFirst(piece.count)
            do {
                for event in try framing.receive(piece) { answer(event) }
            } catch is BerthError {
                isRefused = true
            } catch {
                trap("an error of another kind: \(error)")
            }
            Self.check(framing.takeOutput())
        }
        return self
    }

    private mutating func answer(_ event: FramingEvent) {
        switch event {
        case .data(let stream, let bytes):
            framing.consumed(bytes.count, of: stream)
            if framing.canSend(on: stream) {
                let sent = framing.send(bytes[...], on: stream)
                if sent > bytes.count || sent < 0 { trap("\(sent) of \(bytes.count) bytes were sent") }
            }
            // The same data may come in several events.
            if case .data(stream, let before)? = events.last {
                events[events.count - 1] = .data(stream: stream, before + bytes)
                return
            }
        case .ended(let stream): framing.end(stream)
        // Comes only where the answer to the end was not written yet: in one piece, but not in many.
        case .reset(let stream) where events.contains(.ended(stream: stream)): return
        default: break
        }
        events.append(event)
    }

    /// Whole frames, one after the other.
    private static func check(_ output: [UInt8]) {
        var at = 0
        while at < output.count {
            guard output.count - at >= 8 else { trap("an answer ends in the head of a frame") }
            at += 8 + Int(output[at + 5]) << 16 + Int(output[at + 6]) << 8 + Int(output[at + 7])
        }
        if at > output.count { trap("an answer ends in a frame") }
    }
}
