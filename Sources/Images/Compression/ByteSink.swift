private import CISAL
private import CZstd
internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Where a stream of bytes goes, written by one thread.
protocol ByteSink: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Nothing more comes. Called once.
    func finish() throws
}

extension ByteSink {
    func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }
}

final class IngestSink: ByteSink {
    let writer: IngestWriter

    init(_ writer: IngestWriter) {
        self.writer = writer
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try writer.write(bytes)
    }

    func finish() throws {}
}

/// Hashes on the way down: the diffID of a layer being written.
final class HashingSink: ByteSink {
    private let downstream: any ByteSink
    private(set) var hasher: ContentHasher

    init(_ downstream: any ByteSink, algorithm: Digest.Algorithm = .sha256) {
        self.downstream = downstream
        hasher = ContentHasher(algorithm)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        hasher.update(bytes)
        try downstream.write(bytes)
    }

    func finish() throws {
        try downstream.finish()
    }
}

/// Gzip of level 1 through ISA-L: one member, no name and no time, so the same input gives the same bytes.
final class GzipSink: ByteSink {
    private let downstream: any ByteSink
    private let state: UnsafeMutableRawPointer
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)

    init(_ downstream: any ByteSink) throws {
        self.downstream = downstream
        guard let state = berth_deflate_new() else {
            throw BerthError(.resourceExhausted, "no memory to compress gzip")
        }
        self.state = state
    }

    deinit {
        berth_isal_free(state)
        output.deallocate()
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            try deflate(part, last: false)
            rest = UnsafeRawBufferPointer(rebasing: rest[part.count...])
        }
    }

    func finish() throws {
        try withUnsafeBytes(of: UInt8(0)) { try deflate(UnsafeRawBufferPointer(rebasing: $0[..<0]), last: true) }
        try downstream.finish()
    }

    private func deflate(_ bytes: UnsafeRawBufferPointer, last: Bool) throws {
        var rest = bytes
        var isDone = false
        while !isDone {
            let step = try deflateOnce(rest, last: last)
            if step.produced > 0 { try downstream.write(UnsafeRawBufferPointer(rebasing: output[..<step.produced])) }
            rest = UnsafeRawBufferPointer(rebasing: rest[step.consumed...])
            isDone = last ? step.finished : (rest.isEmpty && step.produced < output.count)
        }
    }

    private func deflateOnce(
        _ bytes: UnsafeRawBufferPointer, last: Bool
    ) throws -> (consumed: Int, produced: Int, finished: Bool) {
        guard let room = output.bindMemory(to: UInt8.self).baseAddress else { return (0, 0, true) }
        // Without input any valid address will do.
        let input = bytes.bindMemory(to: UInt8.self).baseAddress ?? UnsafePointer(room)
        var inputLeft = UInt32(bytes.count)
        var outputLeft = UInt32(output.count)
        var finished: Int32 = 0
        let result = berth_deflate(state, input, &inputLeft, last ? 1 : 0, room, &outputLeft, &finished)
        guard result == 0 else { throw BerthError(.internal, "gzip compression failed (error \(result))") }
        return (bytes.count - Int(inputLeft), output.count - Int(outputLeft), finished != 0)
    }
}

final class ZstdSink: ByteSink {
    private let downstream: any ByteSink
    private let context: OpaquePointer
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)

    init(_ downstream: any ByteSink) throws {
        self.downstream = downstream
        guard let context = ZSTD_createCCtx() else {
            throw BerthError(.resourceExhausted, "no memory to compress zstd")
        }
        self.context = context
    }

    deinit {
        ZSTD_freeCCtx(context)
        output.deallocate()
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try compress(bytes, ZSTD_e_continue)
    }

    func finish() throws {
        try compress(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end)
        try downstream.finish()
    }

    private func compress(_ bytes: UnsafeRawBufferPointer, _ operation: ZSTD_EndDirective) throws {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while true {
            var buffer = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let left = ZSTD_compressStream2(context, &buffer, &input, operation)
            guard ZSTD_isError(left) == 0 else { throw BerthError(.internal, "zstd compression failed") }
            if buffer.pos > 0 { try downstream.write(UnsafeRawBufferPointer(rebasing: output[..<buffer.pos])) }
            if operation == ZSTD_e_end ? left == 0 : input.pos == input.size { return }
        }
    }
}

extension LayerCompression {
    func compress(to sink: any ByteSink) throws -> any ByteSink {
        switch self {
        case .plain: sink
        case .gzip: try GzipSink(sink)
        case .zstd: try ZstdSink(sink)
        }
    }
}
