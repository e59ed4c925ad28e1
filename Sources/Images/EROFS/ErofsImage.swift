internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Writes a directory tree, in overlayfs's form, as an EROFS image: read-only, checked by the kernel as it is read, one file on
/// the disk instead of thousands.
///
/// The bytes depend on nothing but the tree.
struct ErofsImage {
    private let tree: ErofsTree
    private let file: FileDescriptor
    private var isWritten: [Bool]

    /// - Parameter path: must not exist; it does not afterwards either if this fails.
    static func write(_ tree: FilePath, to path: FilePath) throws {
        let scanned = try ErofsTree(tree)
        guard scanned.blocks <= Int64(UInt32.max) else {
            throw BerthError(.resourceExhausted, "\(tree) is larger than the 16 TiB that an EROFS image can hold")
        }
        let file = try Syscall.open(path, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
        defer { file.close() }
        do {
            var image = ErofsImage(scanned, file.fd)
            try image.write()
        } catch {
            try? Syscall.unlinkat(path)
            throw error
        }
    }

    private init(_ tree: ErofsTree, _ file: FileDescriptor) {
        self.tree = tree
        self.file = file
        isWritten = [Bool](repeating: false, count: tree.nodes.count)
    }

    private mutating func write() throws {
        try FileRanges.setSize(file, tree.blocks * Int64(ErofsFormat.blockSize))
        // Inodes are numbered from block 0 on, and the root comes first: its number always fits.
        let root = UInt16(truncatingIfNeeded: tree.nodes[0].number)
        let superblock = ErofsFormat.superblock(
            rootNumber: root, inodes: UInt64(tree.nodes.count), blocks: UInt32(tree.blocks))
        try put(superblock, at: Int64(ErofsFormat.superblockOffset))
        try writeDirectory(0)
        for index in tree.nodes.indices where tree.nodes[index].status.kind == .directory {
            try writeEntries(of: index)
        }
    }

    private mutating func writeEntries(of index: Int) throws {
        let directory = try tree.open(directory: index)
        defer { directory.close() }
        for (name, node) in tree.nodes[index].entries where !isWritten[node] {
            isWritten[node] = true
            switch tree.nodes[node].status.kind {
            case .directory: try writeDirectory(node)
            case .regular: try writeFile(node, in: directory, name)
            default: try write(node, content: tree.nodes[node].linkTarget)
            }
        }
    }

    private func writeDirectory(_ index: Int) throws {
        let node = tree.nodes[index]
        var children: [[UInt8]: Int] = [:]
        children.reserveCapacity(node.entries.count)
        for entry in node.entries { children[entry.name] = entry.node }
        let entries = ErofsTree.withDots(node.entries.map(\.name)).map { name in
            let target = children[name] ?? (name.count == 1 ? index : node.parent)
            return ErofsFormat.DirectoryEntry(
                name: name, number: tree.nodes[target].number, type: Self.type(of: tree.nodes[target].status))
        }
        try write(index, content: ErofsFormat.directory(entries))
    }

    private static func type(of status: EntryStatus) -> ErofsFormat.FileType {
        switch status.kind {
        case .directory: .directory
        case .symlink: .symlink
        case .character: .character
        case .block: .block
        case .fifo: .fifo
        case .socket: .socket
        case .regular, .unknown: .regular
        }
    }

    /// An inode whose content is in memory.
    private func write(_ index: Int, content: [UInt8]) throws {
        let node = tree.nodes[index]
        let whole = Int(node.blocks) * ErofsFormat.blockSize
        try put(inode(index) + node.attributes + content.dropFirst(whole), at: node.offset)
        try put(Array(content.prefix(whole)), at: node.firstBlock * Int64(ErofsFormat.blockSize))
    }

    private func writeFile(_ index: Int, in directory: OwnedDescriptor, _ name: [UInt8]) throws {
        let node = tree.nodes[index]
        let source = OwnedDescriptor(
            try EntryCalls.open(directory.fd, name.terminated, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
        defer { source.close() }
        let inBlocks = node.size - Int64(node.tailSize)
        var tail = [UInt8](repeating: 0, count: node.tailSize)
        let read = try tail.withUnsafeMutableBytes { try EntryCalls.read(source.fd, at: inBlocks, into: $0) }
        try put(inode(index) + node.attributes + tail, at: node.offset)
        let copied = try FileRanges.copy(
            source.fd, size: inBlocks, to: file, at: node.firstBlock * Int64(ErofsFormat.blockSize))
        guard read == tail.count, copied == inBlocks else {
            throw BerthError(.aborted, "\(TarReader.shown(name)): the file shrank while it was read")
        }
    }

    private func inode(_ index: Int) -> [UInt8] {
        let node = tree.nodes[index]
        let status = node.status
        let isDevice = status.kind == .character || status.kind == .block
        return ErofsFormat.Inode(
            layout: node.layout, attributeSize: node.attributes.count, mode: status.mode, size: node.size,
            position: isDevice
                ? ErofsFormat.device(major: status.specialMajor, minor: status.specialMinor)
                : UInt32(truncatingIfNeeded: node.firstBlock),
            number: UInt32(truncatingIfNeeded: index + 1), owner: status.owner, group: status.group,
            seconds: status.modifiedSeconds, nanoseconds: status.modifiedNanoseconds, links: node.links
        ).bytes
    }

    private func put(_ bytes: [UInt8], at offset: Int64) throws {
        try bytes.withUnsafeBytes { try FileRanges.write(file, $0, at: offset) }
    }
}
