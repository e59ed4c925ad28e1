internal import CZlib
internal import Core

/// Headers of a SPDY frame as bytes: a count, then name and value of each after their lengths (SPDY/3, section 2.6.10).
enum SPDYHeaderBlock {
    /// Bytes of one block, uncompressed.
    static let limit = 64 << 10

    static func encode(_ headers: [String: String]) -> [UInt8] {
        var bytes = UInt32(headers.count).bigEndianBytes
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            for text in [name.lowercased(), value] {
                bytes += UInt32(text.utf8.count).bigEndianBytes + Array(text.utf8)
            }
        }
        return bytes
    }

    /// - Returns: values by lower-case name; several values of one name are joined by NUL, as they came.
    static func decode(_ bytes: [UInt8]) throws -> [String: String] {
        var reader = ByteReader(bytes)
        var headers: [String: String] = [:]
        let count = try reader.uint32()
        guard count <= 256 else { throw BerthError(.invalidArgument, "a SPDY header block of \(count) headers") }
        for _ in 0..<count {
            let name = try reader.text(try reader.uint32())
            headers[name.lowercased()] = try reader.text(try reader.uint32())
        }
        return headers
    }
}

/// Compresses the header blocks of one direction of a connection: one zlib stream, flushed after each block.
final class HeaderCompressor {
    // zlib keeps the address: the structure must not move.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var ready = false

    init() { stream.initialize(to: z_stream()) }

    deinit {
        if ready { deflateEnd(stream) }
        stream.deallocate()
    }

    func compress(_ block: [UInt8]) throws -> [UInt8] {
        if !ready {
            guard
                deflateInit_(stream, Z_BEST_SPEED, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
            else { throw BerthError(.resourceExhausted, "could not start zlib") }
            ready = true
            let dictionary = SPDYDictionary.bytes
            deflateSetDictionary(stream, dictionary, UInt32(dictionary.count))
        }
        var input = block
        var output = [UInt8](repeating: 0, count: block.count + block.count / 8 + 256)
        let left = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.pointee.next_in = input.baseAddress
                stream.pointee.avail_in = UInt32(input.count)
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = UInt32(output.count)
                return deflate(stream, Z_SYNC_FLUSH) == Z_OK && stream.pointee.avail_in == 0
                    ? Int(stream.pointee.avail_out) : 0
            }
        }
        guard left > 0 else { throw BerthError(.internal, "could not compress \(block.count) bytes of headers") }
        output.removeLast(left)
        return output
    }
}

/// The other direction.
final class HeaderDecompressor {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var ready = false

    init() { stream.initialize(to: z_stream()) }

    deinit {
        if ready { inflateEnd(stream) }
        stream.deallocate()
    }

    /// - Throws: `BerthError` (`invalidArgument`) for what is no zlib stream with SPDY's dictionary, or grows over the
    ///   limit of a block.
    func decompress(_ block: [UInt8]) throws -> [UInt8] {
        if !ready {
            guard inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
                throw BerthError(.resourceExhausted, "could not start zlib")
            }
            ready = true
        }
        var input = block
        var output = [UInt8](repeating: 0, count: SPDYHeaderBlock.limit)
        let left = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output -> Int? in
                stream.pointee.next_in = input.baseAddress
                stream.pointee.avail_in = UInt32(input.count)
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = UInt32(output.count)
                var result = inflate(stream, Z_SYNC_FLUSH)
                if result == Z_NEED_DICT {
                    let dictionary = SPDYDictionary.bytes
                    guard inflateSetDictionary(stream, dictionary, UInt32(dictionary.count)) == Z_OK else { return nil }
                    result = inflate(stream, Z_SYNC_FLUSH)
                }
                return (result == Z_OK || result == Z_BUF_ERROR) && stream.pointee.avail_in == 0
                    && stream.pointee.avail_out > 0
                    ? Int(stream.pointee.avail_out) : nil
            }
        }
        guard let left else {
            throw BerthError(
                .invalidArgument,
                "a SPDY header block of \(block.count) bytes is damaged, or longer than \(SPDYHeaderBlock.limit) bytes")
        }
        output.removeLast(left)
        return output
    }
}
