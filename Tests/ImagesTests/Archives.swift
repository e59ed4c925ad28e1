import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport

/// Builds tar archives for tests, well-formed and hostile ones.
struct TestTar {
    private(set) var bytes: [UInt8] = []

    static func make(_ build: (inout TestTar) throws -> Void) rethrows -> [UInt8] {
        var tar = TestTar()
        try build(&tar)
        return tar.bytes + [UInt8](repeating: 0, count: 1024)
    }

    mutating func add(_ entry: TarEntry, _ content: [UInt8] = []) throws {
        var collected: [UInt8] = []
        try withoutActuallyEscaping({ (bytes: UnsafeRawBufferPointer) in collected.append(contentsOf: bytes) }) {
            var writer = TarWriter($0)
            try writer.add(entry, content: content)
        }
        bytes += collected
    }

    mutating func file(_ path: String, _ text: String = "", mode: UInt32 = 0o644) throws {
        try add(TarEntry(path: Array(path.utf8), mode: mode), Array(text.utf8))
    }

    mutating func directory(_ path: String, mode: UInt32 = 0o755) throws {
        try add(TarEntry(kind: .directory, path: Array(path.utf8), mode: mode))
    }

    mutating func symlink(_ path: String, to target: String) throws {
        try add(TarEntry(kind: .symlink, path: Array(path.utf8), linkTarget: Array(target.utf8)))
    }

    mutating func hardLink(_ path: String, to target: String) throws {
        try add(TarEntry(kind: .hardLink, path: Array(path.utf8), linkTarget: Array(target.utf8)))
    }

    /// A header block as given, with a right checksum.
    mutating func raw(
        name: [UInt8], type: Character, size: [UInt8], content: [UInt8] = [], magic: String = "ustar\u{0}00"
    ) {
        var block = [UInt8](repeating: 0, count: 512)
        block.replaceSubrange(0..<min(100, name.count), with: name.prefix(100))
        block.replaceSubrange(100..<107, with: Array("0000644".utf8))
        block.replaceSubrange(124..<124 + size.count, with: size)
        block.replaceSubrange(136..<147, with: Array("00000000000".utf8))
        block[156] = type.asciiValue ?? 0x30
        block.replaceSubrange(257..<265, with: Array(magic.utf8))
        block.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
        let sum = block.reduce(0) { $0 + Int($1) }
        let octal = String(sum, radix: 8)
        block.replaceSubrange(
            148..<155, with: Array((String(repeating: "0", count: 6 - octal.count) + octal).utf8) + [0])
        bytes += block + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    mutating func append(_ more: [UInt8]) { bytes += more }

    /// A PAX header of records `KEY=VALUE`.
    mutating func pax(_ records: String..., type: Character = "x") {
        let content = records.flatMap { record -> [UInt8] in
            // The length counts itself; ours have two or three digits.
            let rest = record.utf8.count + 2
            let length = rest + (rest + 2 < 100 ? 2 : 3)
            return Array("\(length) \(record)\n".utf8)
        }
        raw(name: Array("PaxHeaders/h".utf8), type: type, size: octal(content.count), content: content)
    }

    /// A sparse file in GNU tar's old format, with up to four extents.
    mutating func sparse(
        _ name: String = "sparse", size: Int64, extents: [(offset: Int64, count: Int64)], content: Int
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: [UInt8], at offset: Int) {
            header.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
        /// Base-256, which holds any number.
        func large(_ number: Int64) -> [UInt8] {
            [0x80, 0, 0, 0] + withUnsafeBytes(of: number.bigEndian) { Array($0) }
        }
        put(Array(name.utf8), at: 0)
        put(Array("0000644".utf8), at: 100)
        put(octal(content), at: 124)
        put(Array("00000000000".utf8), at: 136)
        put(Array("        ".utf8), at: 148)
        header[156] = UInt8(ascii: "S")
        put(Array("ustar  \u{0}".utf8), at: 257)
        for (index, extent) in extents.enumerated() {
            put(large(extent.offset), at: 386 + 24 * index)
            put(large(extent.count), at: 398 + 24 * index)
        }
        put(large(size), at: 483)
        let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        put(Array((String(repeating: "0", count: 6 - sum.count) + sum).utf8) + [0], at: 148)
        bytes += header + [UInt8](repeating: 0x61, count: (content + 511) / 512 * 512)
    }
}

/// A content store and a place for snapshots.
struct Storage {
    let scratch: ScratchDirectory
    let content: ContentStore
    let metadata = InMemorySnapshotMetadata()
    let snapshotter: OverlaySnapshotter

    init() throws {
        scratch = try ScratchDirectory("images")
        content = try ContentStore(root: scratch.path.appending("content"))
        snapshotter = try OverlaySnapshotter(root: scratch.path.appending("snapshots"), metadata: metadata)
    }

    /// Stores a plain layer.
    func layer(_ tar: [UInt8]) throws -> Descriptor {
        Descriptor(mediaType: .layer, digest: try content.write(tar), size: Int64(tar.count))
    }

    func unpack(_ tar: [UInt8], lower: [FilePath] = [], configure: (inout LayerUnpacker) -> Void = { _ in })
        async throws -> (
            tree: FilePath, layer: UnpackedLayer
        )
    {
        let layer = try layer(tar)
        var unpacker = LayerUnpacker()
        configure(&unpacker)
        let staging = try await snapshotter.beginLayer()
        do {
            let unpacked = try await unpacker.unpack(
                content.open(layer.digest), mediaType: .layer, into: staging.tree, lower: lower)
            return (staging.tree, unpacked)
        } catch {
            await snapshotter.abandonLayer(staging)
            throw error
        }
    }
}

func text(_ path: FilePath) throws -> String {
    String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
}

func octal(_ number: Int) -> [UInt8] {
    let digits = String(number, radix: 8)
    return Array((String(repeating: "0", count: 11 - digits.count) + digits).utf8)
}
