private import CISAL
internal import Core

/// The content of a gzip stream of one or more members (RFC 1952), through ISA-L.
///
/// Bytes after the last member that are not a member themselves are an error, as is a stream that ends inside a member.
final class GzipSource: ByteSource {
    private let upstream: any ByteSource
    private let state: UnsafeMutableRawPointer
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    private var inputStart = 0
    private var inputEnd = 0
    private var upstreamEnded = false
    private var insideMember = false
    private var members = 0

    init(_ upstream: any ByteSource) throws {
        self.upstream = upstream
        guard let state = berth_inflate_new() else {
            throw BerthError(.resourceExhausted, "no memory to decompress gzip")
        }
        self.state = state
    }

    deinit {
        berth_isal_free(state)
        input.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let output = buffer.bindMemory(to: UInt8.self).baseAddress else { return 0 }
        var done = 0
        while done < buffer.count {
            if inputStart == inputEnd { try refill() }
            if !insideMember {
                if inputStart == inputEnd {
                    if members == 0 { throw BerthError(.invalidArgument, "gzip stream is empty") }
                    break
                }
                if members > 0 { berth_inflate_reset(state) }
                insideMember = true
            }
            // With no input left the state may still hold output that had no room in the last call.
            let starved = inputStart == inputEnd
            let produced = try inflate(to: output + done, room: buffer.count - done)
            if starved, produced == 0, insideMember {
                throw BerthError(.invalidArgument, "gzip stream ends in the middle: it is truncated")
            }
            done += produced
        }
        return done
    }

    private func inflate(to output: UnsafeMutablePointer<UInt8>, room: Int) throws -> Int {
        guard let start = input.bindMemory(to: UInt8.self).baseAddress else { return 0 }
        var inputLeft = UInt32(inputEnd - inputStart)
        var outputLeft = UInt32(clamping: room)
        let outputRoom = outputLeft
        var finished: Int32 = 0
        let result = berth_inflate(state, start + inputStart, &inputLeft, output, &outputLeft, &finished)
        guard result == 0 else { throw Self.error(result, afterMembers: members) }
        inputStart = inputEnd - Int(inputLeft)
        if finished != 0 {
            insideMember = false
            members += 1
        }
        return Int(outputRoom - outputLeft)
    }

    private func refill() throws {
        guard !upstreamEnded else { return }
        inputStart = 0
        inputEnd = try upstream.read(into: input)
        upstreamEnded = inputEnd < input.count
    }

    private static func error(_ code: Int32, afterMembers members: Int) -> BerthError {
        switch code {
        case ISAL_INVALID_WRAPPER:
            members > 0
                ? BerthError(.invalidArgument, "gzip stream is followed by bytes that do not belong to it")
                : BerthError(.invalidArgument, "data is not gzip")
        case ISAL_UNSUPPORTED_METHOD: BerthError(.invalidArgument, "gzip stream has an unknown compression method")
        case ISAL_INCORRECT_CHECKSUM: BerthError(.dataLoss, "gzip stream has a wrong checksum")
        default: BerthError(.invalidArgument, "gzip stream is damaged (inflate error \(code))")
        }
    }
}
