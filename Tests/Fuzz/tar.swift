// sources: Core Images/Tar Images/Unpack/LayerPath.swift
// A tar archive, by pieces of varying size: whatever it is, the only errors are ours, and an entry that was read can be
// written and is read again as the same.
internal import Core

/// The reader's other source, whose file needs more of the kernel than a fuzz target has.
protocol ByteSource: AnyObject {
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
    var limits = TarLimits()
    limits.entries = 1000
    limits.extensionHeader = 1 << 16
    let reader = TarReader(Pieces(bytes, size: Int(data[0]) * 7 + 1), limits: limits)
    onlyOwnErrors {
        while let entry = try reader.next() {
            var content: [UInt8] = []
            try reader.readContent { content.append(contentsOf: $0) }
            let expected = entry.extents.map { $0.reduce(0) { $0 + $1.count } } ?? entry.size
            guard content.count == expected else { trap("content of \(content.count) bytes, not \(expected)") }
            if let extents = entry.extents {
                inOrder(extents, size: entry.size)
            } else {
                try repeatable(entry, content)
            }
            _ = try LayerPath(entry: entry.path)
        }
    }
    return 0
}

private func inOrder(_ extents: [TarEntry.Extent], size: Int64) {
    var end: Int64 = 0
    for extent in extents {
        guard extent.offset >= end, extent.count > 0, extent.count <= size - extent.offset else {
            trap("\(extent) in a file of \(size) bytes, after \(end)")
        }
        end = extent.offset + extent.count
    }
}

private func repeatable(_ entry: TarEntry, _ content: [UInt8]) throws {
    var written: [UInt8] = []
    do {
        try withoutActuallyEscaping({ (bytes: UnsafeRawBufferPointer) in written.append(contentsOf: bytes) }) {
            var writer = TarWriter($0)
            try writer.add(entry, content: content)
        }
    } catch is BerthError {
        return
    }
    let again = TarReader(Pieces(written, size: 512))
    guard let read = try again.next() else { trap("an entry that was written is not there") }
    guard read.kind == entry.kind, read.path == entry.path, read.size == entry.size,
        read.linkTarget == entry.linkTarget || entry.kind == .regular || entry.kind == .directory,
        read.mode & 0o7777 == entry.mode & 0o7777, read.owner == entry.owner, read.group == entry.group
    else { trap("\(entry) was read again as \(read)") }
}

private final class Pieces: ChunkSource {
    private let bytes: [UInt8]
    private let size: Int
    private var offset = 0
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8], size: Int) {
        self.bytes = bytes
        self.size = size
        buffer = .allocate(byteCount: size, alignment: 16)
    }

    deinit { buffer.deallocate() }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        guard offset < bytes.count else { return nil }
        let piece = bytes[offset..<min(bytes.count, offset + size)]
        offset += piece.count
        buffer.copyBytes(from: piece)
        return UnsafeRawBufferPointer(rebasing: buffer[..<piece.count])
    }
}
