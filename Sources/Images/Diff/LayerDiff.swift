public import Core
private import Glibc
internal import LinuxKernel
public import OCISpec
public import SystemPackage

/// A layer that was made.
public struct CreatedLayer: Sendable {
    public let descriptor: Descriptor
    public let diffID: Digest
    /// Bytes without compression.
    public let tarSize: Int64
}

/// Makes a layer out of what a snapshot changed: its own tree in overlayfs form, so that no comparison with the layers below is needed.
///
/// The bytes depend on the tree alone: entries are sorted, and names, owners, modes, times and attributes are those of the tree.
public struct LayerDiff: Sendable {
    private let content: ContentStore

    public init(content: ContentStore) {
        self.content = content
    }

    /// - Parameter tree: an overlay's upper directory, or the tree of a snapshot without parent. It should not be written to meanwhile.
    /// - Throws: `BerthError`: `invalidArgument` for a name that means a deletion in layers; `unimplemented` for a directory that
    ///   overlayfs has renamed without copying; `aborted` if a file changed while it was read.
    public func create(from tree: FilePath, mediaType: MediaType = .layerGzip) async throws -> CreatedLayer {
        guard let compression = mediaType.layerCompression else {
            throw BerthError.invalid(field: "layer media type", value: mediaType, rule: "is not a filesystem layer")
        }
        let content = content
        return try await BlockingWork.run {
            let writer = try content.ingest("diff-\(Identifier.random())")
            do {
                let hashing = HashingSink(try compression.compress(to: IngestSink(writer)))
                let walk = try TreeWalk(tree) { try hashing.write($0) }
                try walk.run()
                try hashing.finish()
                let size = writer.offset
                let digest = try writer.commit(expecting: nil)
                return CreatedLayer(
                    descriptor: Descriptor(mediaType: mediaType, digest: digest, size: size),
                    diffID: try hashing.hasher.digest(), tarSize: hashing.hasher.count)
            } catch {
                writer.abort()
                throw error
            }
        }
    }
}

/// Writes a tree in overlayfs form as the entries of a layer.
private final class TreeWalk {
    private static let depthLimit = 400

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private let root: OwnedDescriptor
    private var tar: TarWriter
    /// Where a file with several names was written first.
    private var written: [Identity: [UInt8]] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)

    init(_ tree: FilePath, _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        do {
            root = try OwnedDescriptor.directory(tree)
        } catch {
            throw BerthError(.internal, "open \(tree)", cause: error)
        }
        tar = TarWriter(sink)
    }

    deinit { buffer.deallocate() }

    func run() throws {
        try walk(root, LayerPath.root, depth: 0)
        try tar.finish()
    }

    private func walk(_ directory: OwnedDescriptor, _ path: LayerPath, depth: Int) throws {
        guard depth < Self.depthLimit else {
            throw BerthError(
                .resourceExhausted,
                "\(TarReader.shown(path.bytes)): directories are nested more than \(Self.depthLimit) deep")
        }
        let names = try EntryCalls.names(in: directory.fd).sorted { left, right in
            left.lexicographicallyPrecedes(right) { UInt8(bitPattern: $0) < UInt8(bitPattern: $1) }
        }
        for name in names {
            let child = path.appending(name.dropLast().map(UInt8.init(bitPattern:)))
            do {
                try write(directory, name, child, depth)
            } catch let error as Errno {
                throw BerthError(.internal, "read \(TarReader.shown(child.bytes))", cause: error)
            }
        }
    }

    private func write(_ directory: OwnedDescriptor, _ name: [CChar], _ path: LayerPath, _ depth: Int) throws {
        let status = try EntryCalls.status(directory.fd, name)
        if status.isOverlayWhiteout {
            try tar.add(TarEntry(path: path.parent.appending(Whiteout.prefix + path.name).bytes, mode: 0))
            return
        }
        guard !path.name.starts(with: Whiteout.prefix) else {
            throw BerthError(
                .invalidArgument,
                "\(TarReader.shown(path.bytes)): a name that starts with .wh. means a deletion in layers")
        }
        guard let kind = Self.kind(of: status) else { return }
        var entry = TarEntry(
            kind: kind, path: path.bytes, mode: status.permissions, owner: status.owner, group: status.group,
            modifiedSeconds: status.modifiedSeconds, modifiedNanoseconds: status.modifiedNanoseconds)
        if kind != .directory, status.links > 1 {
            let identity = Identity(device: status.device, inode: status.inode)
            if let first = written[identity] {
                entry.kind = .hardLink
                entry.linkTarget = first
                try tar.add(entry)
                return
            }
            written[identity] = path.bytes
        }
        entry.attributes = try attributes(directory, name, path)
        switch kind {
        case .regular: try writeFile(directory, name, entry, status.size)
        case .directory: try writeDirectory(directory, name, path, entry, depth)
        case .symlink:
            entry.linkTarget = try EntryCalls.readLink(directory.fd, name)
            entry.mode = 0o777
            try tar.add(entry)
        default:
            entry.deviceMajor = kind == .fifo ? 0 : status.specialMajor
            entry.deviceMinor = kind == .fifo ? 0 : status.specialMinor
            try tar.add(entry)
        }
    }

    private func writeDirectory(
        _ directory: OwnedDescriptor, _ name: [CChar], _ path: LayerPath, _ entry: TarEntry, _ depth: Int
    ) throws {
        guard try EntryCalls.attribute(directory.fd, name, "trusted.overlay.redirect") == nil else {
            throw BerthError(
                .unimplemented,
                "\(TarReader.shown(path.bytes)): a directory that was renamed by overlayfs cannot be made a layer yet")
        }
        var entry = entry
        entry.path.append(UInt8(ascii: "/"))
        try tar.add(entry)
        if try EntryCalls.attribute(directory.fd, name, Whiteout.opaqueAttribute) == [UInt8(ascii: "y")] {
            try tar.add(TarEntry(path: path.appending(Whiteout.opaqueMarker).bytes, mode: 0))
        }
        let child = OwnedDescriptor(
            try EntryCalls.open(directory.fd, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        defer { child.close() }
        try walk(child, path, depth: depth + 1)
    }

    private func writeFile(_ directory: OwnedDescriptor, _ name: [CChar], _ entry: TarEntry, _ size: Int64) throws {
        let file = OwnedDescriptor(
            try EntryCalls.open(directory.fd, name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
        defer { file.close() }
        var entry = entry
        entry.size = size
        try tar.begin(entry)
        var offset: Int64 = 0
        while offset < size {
            let wanted = UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<Int(min(Int64(buffer.count), size - offset))])
            let count = try EntryCalls.read(file.fd, at: offset, into: wanted)
            guard count > 0 else {
                throw BerthError(.aborted, "\(TarReader.shown(entry.path)): the file shrank while it was read")
            }
            try tar.write(UnsafeRawBufferPointer(rebasing: wanted[..<count]))
            offset += Int64(count)
        }
        try tar.end()
    }

    /// Those that a layer may set again; overlayfs's own and the host's labels are not the snapshot's.
    private func attributes(
        _ directory: OwnedDescriptor, _ name: [CChar], _ path: LayerPath
    ) throws -> [TarEntry.Attribute] {
        var attributes: [TarEntry.Attribute] = []
        for attribute in try EntryCalls.attributeNames(directory.fd, name)
        where (try? AttributePolicy.decide(attribute, path: path.bytes)) == .set {
            guard let value = try EntryCalls.attribute(directory.fd, name, attribute.terminated) else { continue }
            attributes.append(TarEntry.Attribute(name: attribute, value: value))
        }
        return attributes.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// `nil` for sockets, which mean nothing without the process that listens.
    private static func kind(of status: EntryStatus) -> TarEntry.Kind? {
        switch status.kind {
        case .regular: .regular
        case .directory: .directory
        case .symlink: .symlink
        case .character: .characterDevice
        case .block: .blockDevice
        case .fifo: .fifo
        case .socket, .unknown: nil
        }
    }
}
