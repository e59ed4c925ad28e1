import Core
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

@testable import Images

struct DecompressionTests {
    private final class Collector: ByteSink {
        var bytes: [UInt8] = []
        func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
        func finish() {}
    }

    private static let plain: [UInt8] = (0..<3_000_000).map { UInt8(truncatingIfNeeded: ($0 &* $0) >> 7 ^ $0) }

    private func compress(_ bytes: [UInt8], _ compression: LayerCompression) throws -> [UInt8] {
        let collector = Collector()
        let sink = try compression.compress(to: collector)
        try sink.write(bytes)
        try sink.finish()
        return collector.bytes
    }

    private func decompress(_ bytes: [UInt8], _ compression: LayerCompression, chunk: Int = 1 << 16) throws -> [UInt8] {
        let source = try compression.decompress(MemorySource(bytes))
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { return result }
            result.append(contentsOf: buffer[..<count])
        }
    }

    @Test("what is compressed comes back, whatever the size of the pieces", arguments: LayerCompression.allCases)
    func roundTrip(compression: LayerCompression) throws {
        let compressed = try compress(Self.plain, compression)
        for chunk in [513, 1 << 16, 1 << 20, 5 << 20] {
            #expect(try decompress(compressed, compression, chunk: chunk) == Self.plain)
        }
        #expect(LayerCompression.detect(compressed.prefix(6)) == compression)
        #expect(try compress(Self.plain, compression) == compressed)
    }

    @Test("streams of several members or frames are one", arguments: [LayerCompression.gzip, .zstd])
    func concatenated(compression: LayerCompression) throws {
        let parts = [Array(Self.plain.prefix(10)), [], Array(Self.plain.prefix(400_000)), Array(Self.plain.prefix(1))]
        let compressed = try parts.flatMap { try compress($0, compression) }
        #expect(try decompress(compressed, compression) == parts.flatMap { $0 })
    }

    @Test("truncated, damaged and followed-by-garbage streams are refused", arguments: [LayerCompression.gzip, .zstd])
    func refuses(compression: LayerCompression) throws {
        let compressed = try compress(Array(Self.plain.prefix(200_000)), compression)
        for length in [0, 1, 3, 10, 11, compressed.count / 2, compressed.count - 1] {
            #expect(throws: BerthError.self, "\(length)") {
                try decompress(Array(compressed.prefix(length)), compression)
            }
        }
        #expect(throws: BerthError.self) { try decompress(compressed + Array("garbage and more".utf8), compression) }
        #expect(throws: BerthError.self) { try decompress(Array("not compressed at all".utf8), compression) }
    }

    @Test("a wrong gzip checksum is noticed")
    func checksum() throws {
        var compressed = try compress(Array(Self.plain.prefix(1000)), .gzip)
        compressed[compressed.count - 6] ^= 1
        let error = #expect(throws: BerthError.self) { try decompress(compressed, .gzip) }
        #expect(error?.code == .dataLoss)
    }
}
