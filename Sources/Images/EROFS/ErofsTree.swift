internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// A directory tree as the inodes of an image, in the order in which they will stand in it.
///
/// About 250 bytes of memory for each file, and no content.
struct ErofsTree {
    struct Node {
        var status: EntryStatus
        /// Bytes of attributes, already as they are written.
        var attributes: [UInt8]
        var linkTarget: [UInt8] = []
        /// Of directories: names and nodes, sorted by name.
        var entries: [(name: [UInt8], node: Int)] = []
        var parent: Int
        var links: UInt32 = 0

        var size: Int64
        var layout = ErofsFormat.Layout.plain
        /// Where the inode stands in the image, in bytes.
        var offset: Int64 = 0
        var firstBlock: Int64 = 0

        var number: UInt64 { UInt64(offset) / UInt64(ErofsFormat.slotSize) }
        var headSize: Int { ErofsFormat.inodeSize + attributes.count }
        /// Bytes behind the inode, and whole blocks elsewhere.
        var tailSize: Int { layout == .inline ? Int(size % Int64(ErofsFormat.blockSize)) : 0 }
        var blocks: Int64 {
            let block = Int64(ErofsFormat.blockSize)
            return layout == .inline ? size / block : (size + block - 1) / block
        }
        var hasData: Bool {
            switch status.kind {
            case .regular, .directory, .symlink: size > 0
            default: false
            }
        }
    }

    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// A file's end goes behind its inode if it is shorter than this: longer ones are better mapped.
    private static let inlineFileLimit = 1024
    /// Files of one image: what they take in memory is bounded.
    private static let nodeLimit = 600_000

    let root: OwnedDescriptor
    /// The root first, then breadth first.
    private(set) var nodes: [Node] = []
    /// Of the whole image.
    private(set) var blocks: Int64 = 0
    private var known: [Identity: Int] = [:]

    init(_ tree: FilePath) throws {
        root = try OwnedDescriptor.directory(tree)
        let status = try EntryCalls.status(root.fd)
        nodes = [
            Node(
                status: status, attributes: try Self.attributes(root.fd, [0x2e, 0], "/"), parent: 0, links: 2, size: 0)
        ]
        var next = 0
        while next < nodes.count {
            if nodes[next].status.kind == .directory { try scan(next) }
            next += 1
        }
        known = [:]
        arrange()
    }

    /// The path of a node's directory, below the root.
    func path(of node: Int) -> [UInt8] {
        var components: [[UInt8]] = []
        var index = node
        while index != 0 {
            let parent = nodes[index].parent
            let name = nodes[parent].entries.first { $0.node == index }?.name ?? []
            components.append(name)
            index = parent
        }
        return Array(components.reversed().joined(separator: [UInt8(ascii: "/")]))
    }

    /// Opened by its path, so that depth costs no descriptors.
    func open(directory node: Int) throws -> OwnedDescriptor {
        let path = path(of: node)
        return OwnedDescriptor(
            try EntryCalls.openInRoot(
                root.fd, path.isEmpty ? [0x2e, 0] : path.terminated, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    }

    private mutating func scan(_ index: Int) throws {
        let directory = try open(directory: index)
        defer { directory.close() }
        let names = try EntryCalls.names(in: directory.fd).sorted { left, right in
            left.lexicographicallyPrecedes(right) { UInt8(bitPattern: $0) < UInt8(bitPattern: $1) }
        }
        var entries: [(name: [UInt8], node: Int)] = []
        entries.reserveCapacity(names.count)
        for name in names {
            let status = try EntryCalls.status(directory.fd, name)
            if status.kind == .unknown || status.kind == .socket { continue }
            let bytes = name.dropLast().map(UInt8.init(bitPattern:))
            let node = try self.node(directory, name, status, parent: index)
            nodes[node].links += status.kind == .directory ? 2 : 1
            if status.kind == .directory { nodes[index].links += 1 }
            entries.append((bytes, node))
        }
        nodes[index].entries = entries
        nodes[index].size = Int64(ErofsFormat.directorySize(Self.lengths(entries.map(\.name))))
    }

    private mutating func node(
        _ directory: OwnedDescriptor, _ name: [CChar], _ status: EntryStatus, parent: Int
    ) throws -> Int {
        let identity = Identity(device: status.device, inode: status.inode)
        if status.kind != .directory, status.links > 1, let first = known[identity] { return first }
        guard nodes.count < Self.nodeLimit else {
            throw BerthError(
                .resourceExhausted, "layer has more than \(Self.nodeLimit) files, too many for an EROFS image",
                advice: "set images.snapshotter to overlayfs")
        }
        let shown = TarReader.shown(name.dropLast().map(UInt8.init(bitPattern:)))
        var node = Node(
            status: status, attributes: try Self.attributes(directory.fd, name, shown), parent: parent,
            size: status.kind == .regular ? status.size : 0)
        if status.kind == .symlink {
            node.linkTarget = try EntryCalls.readLink(directory.fd, name)
            node.size = Int64(node.linkTarget.count)
        }
        nodes.append(node)
        if status.kind != .directory, status.links > 1 { known[identity] = nodes.count - 1 }
        return nodes.count - 1
    }

    /// Those of the tree, without what the host computes for itself.
    private static func attributes(
        _ directory: FileDescriptor, _ name: [CChar], _ shown: String
    ) throws -> [UInt8] {
        var found: [(name: [UInt8], value: [UInt8])] = []
        for attribute in try EntryCalls.attributeNames(directory, name) where !isOfHost(attribute) {
            guard let value = try EntryCalls.attribute(directory, name, attribute.terminated) else { continue }
            found.append((attribute, value))
        }
        if found.isEmpty { return [] }
        found.sort { $0.name.lexicographicallyPrecedes($1.name) }
        guard let bytes = ErofsFormat.attributes(found) else {
            throw BerthError(
                .resourceExhausted, "\(shown): its extended attributes are larger than an EROFS image can hold")
        }
        return bytes
    }

    private static func isOfHost(_ name: [UInt8]) -> Bool {
        ["security.selinux", "security.ima", "security.evm"].contains { name.elementsEqual($0.utf8) }
    }

    /// Sorted as the kernel wants them (unsigned bytes), with the two that every directory has.
    static func withDots(_ names: [[UInt8]]) -> [[UInt8]] {
        let dots: [[UInt8]] = [[0x2e], [0x2e, 0x2e]]
        let position = names.firstIndex { !$0.lexicographicallyPrecedes(dots[0]) } ?? names.count
        var result = Array(names[..<position]) + [dots[0]]
        // Only a name of "." and a byte below "." can be between the two.
        let rest = names[position...]
        let second = rest.firstIndex { !$0.lexicographicallyPrecedes(dots[1]) } ?? rest.endIndex
        result += rest[..<second]
        result.append(dots[1])
        result += rest[second...]
        return result
    }

    private static func lengths(_ names: [[UInt8]]) -> [Int] { withDots(names).map(\.count) }

    // MARK: Positions

    private mutating func arrange() {
        let block = Int64(ErofsFormat.blockSize)
        var offset = Int64(ErofsFormat.superblockOffset + ErofsFormat.superblockSize)
        for index in nodes.indices {
            nodes[index].layout = Self.layout(of: nodes[index])
            let node = nodes[index]
            let whole = Int64(node.headSize + node.tailSize)
            let room = block - offset % block
            // What stands behind an inode must not cross a block, nor, to be simple, the inode itself.
            if node.tailSize > 0 ? whole > room : Int64(ErofsFormat.inodeSize) > room { offset += room }
            nodes[index].offset = offset
            let slot = Int64(ErofsFormat.slotSize)
            offset = (offset + whole + slot - 1) / slot * slot
        }
        var next = (offset + block - 1) / block
        for index in nodes.indices where nodes[index].hasData {
            nodes[index].firstBlock = next
            next += nodes[index].blocks
        }
        blocks = next
    }

    private static func layout(of node: Node) -> ErofsFormat.Layout {
        let block = ErofsFormat.blockSize
        let tail = Int(node.size % Int64(block))
        guard node.hasData, tail > 0, node.headSize + tail <= block else { return .plain }
        if node.status.kind == .regular { return tail <= inlineFileLimit ? .inline : .plain }
        return .inline
    }
}
