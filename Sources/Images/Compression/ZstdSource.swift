private import CZstd
internal import Core

/// The content of a zstd stream of one or more frames (RFC 8878); skippable frames, as zstd:chunked adds, are skipped.
final class ZstdSource: ByteSource {
    /// A frame may ask for a window of this size at most: 2^27 bytes, what `zstd -d` accepts without a switch.
    private static let windowLog: Int32 = 27

    private let upstream: any ByteSource
    private let context: OpaquePointer
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    private var inputStart = 0
    private var inputEnd = 0
    private var upstreamEnded = false
    private var insideFrame = false
    private var started = false

    init(_ upstream: any ByteSource) throws {
        self.upstream = upstream
        guard let context = ZSTD_createDCtx() else {
            throw BerthError(.resourceExhausted, "no memory to decompress zstd")
        }
        self.context = context
        _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLog)
    }

    deinit {
        ZSTD_freeDCtx(context)
        input.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
        while output.pos < output.size {
            if inputStart == inputEnd, !upstreamEnded {
                inputStart = 0
                inputEnd = try upstream.read(into: input)
                upstreamEnded = inputEnd < input.count
            }
            if inputStart == inputEnd, !insideFrame {
                if !started { throw BerthError(.invalidArgument, "zstd stream is empty") }
                break
            }
            started = true
            var source = ZSTD_inBuffer(src: input.baseAddress, size: inputEnd, pos: inputStart)
            let before = (output.pos, source.pos)
            let result = ZSTD_decompressStream(context, &output, &source)
            guard ZSTD_isError(result) == 0 else {
                throw BerthError(
                    .invalidArgument,
                    "zstd stream is damaged: \(String(cString: ZSTD_getErrorName(result)).lowercased())")
            }
            inputStart = source.pos
            insideFrame = result != 0
            if insideFrame, before == (output.pos, source.pos), upstreamEnded {
                throw BerthError(.invalidArgument, "zstd stream ends in the middle: it is truncated")
            }
        }
        return output.pos
    }
}
