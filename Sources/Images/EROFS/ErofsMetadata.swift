internal import LinuxKernel
internal import SystemPackage

/// Writes the inodes of an image, and what they hold other than the content of files.
struct ErofsMetadata {
    private let plan: ErofsPlan
    private var inodes: GatheredWrites
    private var blocks: GatheredWrites

    init(_ plan: ErofsPlan, to file: FileDescriptor) {
        self.plan = plan
        inodes = GatheredWrites(file, gap: plan.blockSize)
        blocks = GatheredWrites(file, gap: plan.blockSize)
    }

    mutating func writeDirectory(_ index: Int) throws {
        let node = plan.nodes[index]
        var children: [[UInt8]: Int] = [:]
        children.reserveCapacity(node.entries.count)
        for entry in node.entries { children[entry.name] = entry.node }
        let entries = ErofsFormat.withDots(node.entries.map(\.name)).map { name in
            let target = children[name] ?? (name.count == 1 ? index : node.parent)
            return ErofsFormat.DirectoryEntry(
                name: name, number: plan.number(of: target), type: plan.nodes[target].type)
        }
        try write(index, content: ErofsFormat.directory(entries, blockSize: plan.blockSize))
    }

    /// An inode whose content is in memory.
    mutating func write(_ index: Int, content: [UInt8]) throws {
        let whole = content.count - plan.tailSize(of: index)
        try write(index, tail: Array(content[whole...]))
        if whole > 0 { try blocks.put(content[..<whole], at: plan.position(of: index)) }
    }

    /// An inode whose whole blocks are written by somebody else.
    mutating func write(_ index: Int, tail: [UInt8] = []) throws {
        try inodes.put((inode(index) + plan.nodes[index].attributes + tail)[...], at: plan.nodes[index].offset)
    }

    mutating func finish() throws {
        try inodes.flush()
        try blocks.flush()
        try inodes.put(ErofsFormat.superblock(of: plan)[...], at: Int64(ErofsFormat.superblockOffset))
        try inodes.flush()
    }

    private func inode(_ index: Int) -> [UInt8] {
        let node = plan.nodes[index]
        let isDevice = node.type == .character || node.type == .block
        return ErofsFormat.Inode(
            layout: node.layout, attributeSize: node.attributes.count, mode: node.mode, size: node.size,
            position: isDevice ? node.device : UInt32(truncatingIfNeeded: node.firstBlock),
            number: UInt32(truncatingIfNeeded: index + 1), owner: node.owner, group: node.group,
            seconds: node.modifiedSeconds, nanoseconds: node.modifiedNanoseconds, links: node.links
        ).bytes
    }
}

/// Small pieces that come mostly one behind the other, written together.
private struct GatheredWrites {
    private static let limit = 1 << 20

    private let file: FileDescriptor
    /// What is left out between two pieces is this much at most, and zeros.
    private let gap: Int
    private var start: Int64 = 0
    private var bytes: [UInt8] = []

    init(_ file: FileDescriptor, gap: Int) {
        self.file = file
        self.gap = gap
    }

    mutating func put(_ piece: ArraySlice<UInt8>, at offset: Int64) throws {
        let missing = offset - start - Int64(bytes.count)
        if missing < 0 || missing >= Int64(gap) || bytes.count >= Self.limit {
            try flush()
            start = offset
        } else {
            bytes += repeatElement(0, count: Int(missing))
        }
        bytes += piece
    }

    mutating func flush() throws {
        guard !bytes.isEmpty else { return }
        try bytes.withUnsafeBytes { try FileRanges.write(file, $0, at: start) }
        bytes.removeAll(keepingCapacity: true)
    }
}
