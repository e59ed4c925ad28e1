internal import Core
internal import LinuxKernel

/// Runs a source on a thread of its own, a few buffers ahead of the reader, so that decompression and writing overlap.
///
/// Memory is bounded by `count` buffers of `size` bytes. The reader must call `cancel` when it stops early.
final class ThreadedChunks: ChunkSource {
    private struct Buffer: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
        var count = 0
    }

    private struct State: @unchecked Sendable {
        var empty: [Buffer]
        var full: [Buffer] = []
        var ended = false
        var failure: (any Error)?
        var cancelled = false
        /// The producer has stopped and touches no buffer any more.
        var producerGone = false
    }

    private let state: WaitableState<State>
    private var current: Buffer?

    /// - Parameter makeSource: runs on the new thread, which alone uses the source.
    init(size: Int = 1 << 20, count: Int = 4, makeSource: @escaping @Sendable () throws -> any ByteSource) throws {
        let buffers = (0..<count).map { _ in
            Buffer(bytes: UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096))
        }
        let state = WaitableState(State(empty: buffers))
        self.state = state
        do {
            try BlockingWork.start { Self.produce(into: state, makeSource) }
        } catch {
            for buffer in buffers { buffer.bytes.deallocate() }
            throw error
        }
    }

    private static func produce(
        into state: WaitableState<State>, _ makeSource: @Sendable () throws -> any ByteSource
    ) {
        do {
            let source = try makeSource()
            while let buffer = takeEmpty(state), try fill(buffer, from: source, state) {}
            state.change { $0.ended = true }
        } catch {
            state.change { $0.failure = error }
        }
        state.change { $0.producerGone = true }
    }

    /// Waits for an empty buffer; `nil` when cancelled.
    private static func takeEmpty(_ state: WaitableState<State>) -> Buffer? {
        let taken = state.wait { (state: inout State) -> Taken? in
            if state.cancelled { return .nothing }
            guard let buffer = state.empty.popLast() else { return nil }
            return .buffer(buffer)
        }
        return taken.buffer
    }

    /// - Returns: whether there may be more.
    private static func fill(
        _ buffer: Buffer, from source: any ByteSource, _ state: WaitableState<State>
    ) throws -> Bool {
        do {
            let count = try source.read(into: buffer.bytes)
            let filled = Buffer(bytes: buffer.bytes, count: count)
            state.change { state in
                if count > 0 { state.full.append(filled) } else { state.empty.append(filled) }
            }
            return count > 0
        } catch {
            state.change { $0.empty.append(buffer) }
            throw error
        }
    }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        if let used = current {
            current = nil
            state.change { $0.empty.append(used) }
        }
        let taken = try state.wait { (state: inout State) throws -> Taken? in
            if !state.full.isEmpty { return .buffer(state.full.removeFirst()) }
            if let failure = state.failure { throw failure }
            return state.ended ? .nothing : nil
        }
        guard let buffer = taken.buffer else { return nil }
        current = buffer
        return UnsafeRawBufferPointer(rebasing: buffer.bytes[..<buffer.count])
    }

    private enum Taken {
        case buffer(Buffer)
        case nothing

        var buffer: Buffer? {
            if case .buffer(let buffer) = self { return buffer }
            return nil
        }
    }

    /// Stops the producer; what it has read is dropped.
    func cancel() {
        state.change { $0.cancelled = true }
    }

    deinit {
        // The producer may be in the middle of a read into one of the buffers.
        cancel()
        let rest = state.wait { (state: inout State) -> [Buffer]? in
            state.producerGone ? state.empty + state.full : nil
        }
        for buffer in rest { buffer.bytes.deallocate() }
        current?.bytes.deallocate()
    }
}

/// Hashes the chunks on their way.
final class HashingChunks: ChunkSource {
    private let source: any ChunkSource
    private(set) var hasher: ContentHasher

    init(_ source: any ChunkSource, algorithm: Digest.Algorithm) {
        self.source = source
        hasher = ContentHasher(algorithm)
    }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        guard let chunk = try source.nextChunk() else { return nil }
        hasher.update(chunk)
        return chunk
    }
}

/// Fails once more than `limit` bytes have come, or the disk that they go to is nearly full: the bounds on what a compressed
/// layer may become.
final class LimitedChunks: ChunkSource {
    private let source: any ChunkSource
    private let limit: Int64
    private var count: Int64 = 0
    private var disk: DiskGuard

    init(_ source: any ChunkSource, limit: Int64, disk: DiskGuard) {
        self.source = source
        self.limit = limit
        self.disk = disk
    }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        guard let chunk = try source.nextChunk() else { return nil }
        count += Int64(chunk.count)
        guard count <= limit else {
            throw BerthError(.resourceExhausted, "layer is larger than the limit of \(limit) bytes when decompressed")
        }
        try disk.wrote(chunk.count)
        return chunk
    }
}
