internal import Core
internal import OCISpec

extension LayerCompression {
    func decompress(_ source: any ByteSource) throws -> any ByteSource {
        switch self {
        case .plain: source
        case .gzip: try GzipSource(source)
        case .zstd: try ZstdSource(source)
        }
    }

    /// What the first bytes of a stream tell, whatever it is called.
    static func detect(_ start: some Collection<UInt8>) -> LayerCompression {
        if start.starts(with: [0x1f, 0x8b]) { return .gzip }
        if start.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return .zstd }
        // A skippable frame of zstd: 0x184D2A50 to 0x184D2A5F, little-endian.
        if start.dropFirst().starts(with: [0x2a, 0x4d, 0x18]), let first = start.first, first & 0xf0 == 0x50 {
            return .zstd
        }
        return .plain
    }
}

/// `upstream` preceded by bytes of it that were read before.
final class PrefixedSource: ByteSource {
    private var prefix: ArraySlice<UInt8>
    private let upstream: any ByteSource

    init(_ prefix: [UInt8], _ upstream: any ByteSource) {
        self.prefix = prefix[...]
        self.upstream = upstream
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, prefix.count)
        if count > 0 {
            buffer.copyBytes(from: prefix.prefix(count))
            prefix = prefix.dropFirst(count)
        }
        guard count < buffer.count else { return count }
        return count + (try upstream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...])))
    }
}

/// Decompresses by what the stream starts with.
func detectingCompression(_ source: any ByteSource) throws -> (source: any ByteSource, compression: LayerCompression) {
    var start = [UInt8](repeating: 0, count: 6)
    let count = try start.withUnsafeMutableBytes { try source.read(into: $0) }
    start.removeLast(start.count - count)
    let compression = LayerCompression.detect(start)
    return (try compression.decompress(PrefixedSource(start, source)), compression)
}
