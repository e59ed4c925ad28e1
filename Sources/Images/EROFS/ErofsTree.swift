internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// A directory tree as the inodes of an image, in the order in which they will stand in it.
struct ErofsTree {
    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// Files of one image: what they take in memory is bounded.
    private static let nodeLimit = 600_000

    let root: OwnedDescriptor
    /// The root first, then breadth first.
    private(set) var nodes: [ErofsNode] = []
    private var known: [Identity: Int] = [:]

    init(_ tree: FilePath) throws {
        root = try OwnedDescriptor.directory(tree)
        nodes = [ErofsNode(try EntryCalls.status(root.fd), parent: 0)]
        nodes[0].attributes = try Self.attributes(root.fd, [0x2e, 0], "/")
        nodes[0].links = 2
        var next = 0
        while next < nodes.count {
            if nodes[next].type == .directory { try scan(next) }
            next += 1
        }
        known = [:]
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
        var entries: [ErofsNode.Entry] = []
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
        var node = ErofsNode(status, parent: parent)
        node.attributes = try Self.attributes(directory.fd, name, shown)
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

    static func isOfHost(_ name: [UInt8]) -> Bool {
        ["security.selinux", "security.ima", "security.evm"].contains { name.elementsEqual($0.utf8) }
    }
}
