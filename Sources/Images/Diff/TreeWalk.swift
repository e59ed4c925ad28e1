internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Writes a tree in overlayfs form, or its difference from another, as the entries of a layer.
final class TreeWalk {
    private static let depthLimit = 400

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private var tar: TarWriter
    /// Where a file with several names was written first.
    private var written: [Identity: [UInt8]] = [:]
    /// New names of files that have others, which may turn out to be in the layer below: put off to the end, `nil` by then.
    private var deferred: [LayerPath]?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)

    init(_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) {
        tar = TarWriter(sink)
    }

    deinit { buffer.deallocate() }

    /// - Parameter below: what the layer is to be applied to; without it, `root` is in overlayfs form and says itself what it
    ///   changes.
    func run(_ root: OwnedDescriptor, comparedWith below: OwnedDescriptor? = nil) throws {
        if let below {
            deferred = []
            try compare(root, below, .root, depth: 0)
            try writeDeferred(root)
        } else {
            try walk(root, LayerPath.root, depth: 0)
        }
        try tar.finish()
    }

    private func names(in directory: OwnedDescriptor, _ path: LayerPath, depth: Int) throws -> [[CChar]] {
        guard depth < Self.depthLimit else {
            throw BerthError(
                .resourceExhausted,
                "\(TarReader.shown(path.bytes)): directories are nested more than \(Self.depthLimit) deep")
        }
        return try EntryCalls.names(in: directory.fd).sorted(by: Self.precedes)
    }

    private static func precedes(_ left: [CChar], _ right: [CChar]) -> Bool {
        left.lexicographicallyPrecedes(right) { UInt8(bitPattern: $0) < UInt8(bitPattern: $1) }
    }

    private func walk(_ directory: OwnedDescriptor, _ path: LayerPath, depth: Int) throws {
        for name in try names(in: directory, path, depth: depth) {
            let child = path.appending(name.dropLast().map(UInt8.init(bitPattern:)))
            do {
                try write(directory, name, child, depth)
            } catch let error as Errno {
                throw BerthError(.internal, "read \(TarReader.shown(child.bytes))", cause: error)
            }
        }
    }

    // MARK: Comparison

    private func compare(
        _ directory: OwnedDescriptor, _ below: OwnedDescriptor, _ path: LayerPath, depth: Int
    ) throws {
        let present = try names(in: directory, path, depth: depth)
        let former = try EntryCalls.names(in: below.fd)
        let (now, then) = (Set(present), Set(former))
        for name in (present + former.filter { !now.contains($0) }).sorted(by: Self.precedes) {
            let child = path.appending(name.dropLast().map(UInt8.init(bitPattern:)))
            do {
                if !now.contains(name) {
                    try tar.add(TarEntry(path: path.appending(Whiteout.prefix + child.name).bytes, mode: 0))
                } else if then.contains(name) {
                    try compare(directory, below, name, child, depth)
                } else {
                    try write(directory, name, child, depth)
                }
            } catch let error as Errno {
                throw BerthError(.internal, "compare \(TarReader.shown(child.bytes))", cause: error)
            }
        }
    }

    /// An entry that both have.
    private func compare(
        _ directory: OwnedDescriptor, _ below: OwnedDescriptor, _ name: [CChar], _ path: LayerPath, _ depth: Int
    ) throws {
        let status = try EntryCalls.status(directory.fd, name)
        let former = try EntryCalls.status(below.fd, name)
        guard status.kind == former.kind else { return try write(directory, name, path, depth) }
        let isSame = try isSame(directory, status, below, former, name, path)
        guard status.kind == .directory else {
            if !isSame { return try write(directory, name, path, depth) }
            // A new name of a file that is there already is a link to it.
            if status.links > 1 {
                written[Identity(device: status.device, inode: status.inode)] = path.bytes
            }
            return
        }
        if !isSame {
            var entry = Self.entry(.directory, path, status)
            entry.path.append(UInt8(ascii: "/"))
            entry.attributes = try attributes(directory, name, path)
            try tar.add(entry)
        }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        let inside = OwnedDescriptor(try EntryCalls.open(directory.fd, name, flags: flags))
        let insideBelow = OwnedDescriptor(try EntryCalls.open(below.fd, name, flags: flags))
        defer {
            inside.close()
            insideBelow.close()
        }
        try compare(inside, insideBelow, path, depth: depth + 1)
    }

    private func isSame(
        _ directory: OwnedDescriptor, _ status: EntryStatus, _ below: OwnedDescriptor, _ former: EntryStatus,
        _ name: [CChar], _ path: LayerPath
    ) throws -> Bool {
        guard status.permissions == former.permissions, status.owner == former.owner, status.group == former.group,
            status.modified == former.modified, status.specialMajor == former.specialMajor,
            status.specialMinor == former.specialMinor, status.kind == .directory || status.size == former.size,
            try attributes(directory, name, path) == attributes(below, name, path)
        else { return false }
        switch status.kind {
        case .symlink: return try EntryCalls.readLink(directory.fd, name) == EntryCalls.readLink(below.fd, name)
        // Archives often bring whole seconds, and within one a file can change without showing it.
        case .regular where status.modifiedNanoseconds == 0:
            return try hasSameContent(directory, below, name, size: status.size)
        default: return true
        }
    }

    private func hasSameContent(
        _ directory: OwnedDescriptor, _ below: OwnedDescriptor, _ name: [CChar], size: Int64
    ) throws -> Bool {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
        let left = OwnedDescriptor(try EntryCalls.open(directory.fd, name, flags: flags))
        let right = OwnedDescriptor(try EntryCalls.open(below.fd, name, flags: flags))
        defer {
            left.close()
            right.close()
        }
        let half = buffer.count / 2
        let (one, two) = (buffer[..<half], buffer[half..<2 * half])
        var offset: Int64 = 0
        while offset < size {
            let count = try EntryCalls.read(left.fd, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: one))
            let other = try EntryCalls.read(right.fd, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: two))
            guard count == other, count > 0, one.prefix(count).elementsEqual(two.prefix(count)) else { return false }
            offset += Int64(count)
        }
        return true
    }

    private func writeDeferred(_ root: OwnedDescriptor) throws {
        let paths = deferred ?? []
        deferred = nil
        for path in paths {
            let parent = path.parent.isRoot ? [0x2e, 0] : path.parent.bytes.terminated
            let directory = OwnedDescriptor(
                try EntryCalls.openInRoot(root.fd, parent, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
            defer { directory.close() }
            try write(directory, path.name.terminated, path, path.components.count)
        }
    }

    // MARK: Entries

    private static func entry(_ kind: TarEntry.Kind, _ path: LayerPath, _ status: EntryStatus) -> TarEntry {
        TarEntry(
            kind: kind, path: path.bytes, mode: status.permissions, owner: status.owner, group: status.group,
            modifiedSeconds: status.modifiedSeconds, modifiedNanoseconds: status.modifiedNanoseconds)
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
        var entry = Self.entry(kind, path, status)
        if kind != .directory, status.links > 1 {
            let identity = Identity(device: status.device, inode: status.inode)
            if let first = written[identity] {
                entry.kind = .hardLink
                entry.linkTarget = first
                try tar.add(entry)
                return
            }
            if deferred != nil {
                deferred?.append(path)
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
