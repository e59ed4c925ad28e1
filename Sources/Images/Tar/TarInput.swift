internal import Core

/// A stream in pieces of the producer's choosing. Read by one thread.
protocol ChunkSource: AnyObject {
    /// The next piece, never empty, valid until the next call; `nil` at the end.
    func nextChunk() throws -> UnsafeRawBufferPointer?
}

/// Chunks read by the caller's own thread.
final class SingleThreadChunks: ChunkSource {
    private let source: any ByteSource
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ source: any ByteSource, size: Int = 1 << 20) {
        self.source = source
        buffer = .allocate(byteCount: size, alignment: 64)
    }

    deinit { buffer.deallocate() }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        let count = try source.read(into: buffer)
        return count == 0 ? nil : UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}

/// Cuts a stream of chunks into header blocks and pieces of content.
final class TarInput {
    static let truncated = BerthError(.invalidArgument, "tar archive ends in the middle of an entry: it is truncated")

    private let source: any ChunkSource
    private var chunk = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Where `chunk` ends in the stream.
    private var chunkEnd: Int64 = 0
    private let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: TarHeader.blockSize)

    init(_ source: any ChunkSource) {
        self.source = source
    }

    deinit { scratch.deallocate() }

    /// How much of the stream has been handed out.
    var offset: Int64 { chunkEnd - Int64(chunk.count) }

    /// The next 512 bytes, valid until the next call of any method; `nil` if the stream has ended.
    func nextBlock() throws -> TarHeader.Block? {
        if chunk.isEmpty, try !refill() { return nil }
        if chunk.count >= TarHeader.blockSize, let start = chunk.baseAddress {
            chunk = UnsafeRawBufferPointer(rebasing: chunk[TarHeader.blockSize...])
            return start.assumingMemoryBound(to: UInt8.self)
        }
        var filled = 0
        while filled < TarHeader.blockSize {
            let part = try piece(upTo: Int64(TarHeader.blockSize - filled))
            guard !part.isEmpty else { throw Self.truncated }
            UnsafeMutableRawBufferPointer(start: scratch + filled, count: part.count).copyMemory(from: part)
            filled += part.count
        }
        return UnsafePointer(scratch)
    }

    /// The next bytes, at most `limit`; empty only at the end of the stream.
    func piece(upTo limit: Int64) throws -> UnsafeRawBufferPointer {
        if chunk.isEmpty, try !refill() { return chunk }
        let count = Int(min(Int64(chunk.count), limit))
        let piece = UnsafeRawBufferPointer(rebasing: chunk[..<count])
        chunk = UnsafeRawBufferPointer(rebasing: chunk[count...])
        return piece
    }

    func skip(_ count: Int64) throws {
        var left = count
        while left > 0 {
            let piece = try piece(upTo: left)
            guard !piece.isEmpty else { throw Self.truncated }
            left -= Int64(piece.count)
        }
    }

    func drain() throws {
        while try refill() {}
    }

    private func refill() throws -> Bool {
        guard let next = try source.nextChunk() else {
            chunk = UnsafeRawBufferPointer(start: nil, count: 0)
            return false
        }
        chunk = next
        chunkEnd += Int64(next.count)
        return true
    }
}
