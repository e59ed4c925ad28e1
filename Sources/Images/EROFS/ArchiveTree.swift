internal import Core
private import Glibc
internal import LinuxKernel

/// A layer needs more than a list of its entries: it has a sparse file, or refers to something that it does not hold itself, or is
/// malformed in a way that unpacking tells better. It is unpacked to a directory tree then.
struct LayerNeedsTree: Error {}

/// The inodes of a layer, gathered while its archive goes by. Nothing is written anywhere.
struct ArchiveTree {
    /// Bounds of memory, with a few layers at a time: beyond them a layer takes the way of a directory tree.
    var nodeLimit = 131_072
    var byteLimit = 16 << 20

    private(set) var nodes: [ErofsNode]
    private var children: [Int: [[UInt8]: Int]] = [:]
    private var directories: [LayerPath: Int] = [.root: 0]
    private var lastParent: (path: LayerPath, node: Int) = (.root, 0)
    /// Directories that no entry describes.
    private var undescribed: [Int: LayerPath] = [0: .root]
    /// Hides what lower layers have in them.
    private var opaque: Set<Int> = []
    /// Of names, link targets and attributes.
    private var bytes = 0
    /// Where the content of the last file ends.
    private(set) var contentEnd: Int64 = 0

    init() {
        nodes = [ErofsNode(mode: UInt32(S_IFDIR) | 0o755, parent: 0)]
    }

    /// - Parameter position: of the entry's content in the archive.
    /// - Throws: `LayerNeedsTree`; `BerthError` for what is refused in any case.
    mutating func add(_ entry: TarEntry, at position: Int64) throws {
        let path = try LayerPath(entry: entry.path)
        if path.isRoot {
            guard entry.kind == .directory else { throw LayerNeedsTree() }
            try describe(0, entry)
        } else if path.name.starts(with: Whiteout.prefix) {
            try addWhiteout(path)
        } else {
            try add(entry, path, at: position)
        }
    }

    private mutating func add(_ entry: TarEntry, _ path: LayerPath, at position: Int64) throws {
        guard entry.extents == nil else { throw LayerNeedsTree() }
        let parent = try directory(path.parent)
        let name = Array(path.name)
        switch entry.kind {
        case .directory: try addDirectory(entry, path, parent, name)
        case .hardLink: try addHardLink(entry, path, parent, name)
        case .regular:
            let node = try make(entry, UInt32(S_IFREG), parent)
            nodes[node].size = entry.size
            if entry.size > 0 {
                nodes[node].firstBlock = (ArchiveImage.archiveStart + position) / Int64(ErofsFormat.smallBlockSize)
                contentEnd = max(contentEnd, position + entry.size)
            }
            try put(node, parent, name)
        case .symlink:
            let node = try make(entry, UInt32(S_IFLNK) | 0o777, parent)
            nodes[node].linkTarget = entry.linkTarget
            nodes[node].size = Int64(entry.linkTarget.count)
            try hold(entry.linkTarget.count)
            try put(node, parent, name)
        case .characterDevice, .blockDevice, .fifo:
            try put(try makeDevice(entry, parent), parent, name)
        }
    }

    // MARK: Kinds of entries

    private mutating func addDirectory(
        _ entry: TarEntry, _ path: LayerPath, _ parent: Int, _ name: [UInt8]
    ) throws {
        if let existing = children[parent]?[name], nodes[existing].type == .directory {
            try describe(existing, entry)
            return
        }
        // Deleted and made anew in one layer: what lower layers have in it stays hidden.
        let hides = children[parent]?[name].map { nodes[$0].isOverlayWhiteout } ?? false
        let node = try makeDirectory(path, parent, name)
        if hides { opaque.insert(node) }
        try describe(node, entry)
    }

    private mutating func addHardLink(
        _ entry: TarEntry, _ path: LayerPath, _ parent: Int, _ name: [UInt8]
    ) throws {
        let target = try LayerPath(hardLinkTarget: entry.linkTarget)
        guard !target.isRoot, target != path, let directory = try existingDirectory(target.parent),
            let node = children[directory]?[Array(target.name)], nodes[node].type != .directory,
            !nodes[node].isOverlayWhiteout
        else { throw LayerNeedsTree() }
        try put(node, parent, name)
    }

    private mutating func makeDevice(_ entry: TarEntry, _ parent: Int) throws -> Int {
        guard entry.deviceMajor < 1 << 12, entry.deviceMinor < 1 << 20 else { throw LayerNeedsTree() }
        let isCharacter = entry.kind == .characterDevice
        // overlayfs would take it as a deletion.
        guard !isCharacter || entry.deviceMajor != 0 || entry.deviceMinor != 0 else { throw LayerNeedsTree() }
        let type = isCharacter ? S_IFCHR : entry.kind == .blockDevice ? S_IFBLK : S_IFIFO
        let node = try make(entry, UInt32(type), parent)
        if entry.kind != .fifo {
            nodes[node].device = ErofsFormat.device(major: entry.deviceMajor, minor: entry.deviceMinor)
        }
        return node
    }

    private mutating func addWhiteout(_ path: LayerPath) throws {
        let name = path.name
        if name.elementsEqual(Whiteout.opaqueMarker) {
            guard !path.parent.isRoot else { throw LayerNeedsTree() }
            opaque.insert(try directory(path.parent))
            return
        }
        if name.starts(with: Whiteout.metaPrefix) { return }
        let original = Array(name.dropFirst(Whiteout.prefix.count))
        guard !original.isEmpty, original != [0x2e], original != [0x2e, 0x2e] else { throw LayerNeedsTree() }
        let parent = try directory(path.parent)
        if let existing = children[parent]?[original] {
            // The layer itself has an entry of this name: the whiteout is about what lies below it.
            if nodes[existing].type == .directory { opaque.insert(existing) }
            return
        }
        try put(try append(ErofsNode(mode: UInt32(S_IFCHR), parent: parent)), parent, original)
    }

    // MARK: Nodes

    private mutating func make(_ entry: TarEntry, _ type: UInt32, _ parent: Int) throws -> Int {
        let node = try append(ErofsNode(mode: type, parent: parent))
        try set(node, entry)
        return node
    }

    private mutating func append(_ node: ErofsNode) throws -> Int {
        guard nodes.count < nodeLimit else { throw LayerNeedsTree() }
        nodes.append(node)
        return nodes.count - 1
    }

    private mutating func hold(_ count: Int) throws {
        bytes += count
        guard bytes <= byteLimit else { throw LayerNeedsTree() }
    }

    private mutating func describe(_ node: Int, _ entry: TarEntry) throws {
        undescribed[node] = nil
        try set(node, entry)
    }

    private mutating func set(_ node: Int, _ entry: TarEntry) throws {
        let type = nodes[node].mode & UInt32(S_IFMT)
        nodes[node].mode = type | (type == UInt32(S_IFLNK) ? 0o777 : entry.mode & 0o7777)
        nodes[node].owner = entry.owner
        nodes[node].group = entry.group
        nodes[node].modifiedSeconds = entry.modifiedSeconds
        nodes[node].modifiedNanoseconds = entry.modifiedNanoseconds
        guard !entry.attributes.isEmpty else {
            nodes[node].attributes = []
            return
        }
        let kept = try entry.attributes.filter { try AttributePolicy.decide($0.name, path: entry.path) == .set }
        // Whether an access control list is well-formed is for the kernel to say.
        guard !kept.contains(where: { $0.name.starts(with: Array("system.".utf8)) }) else { throw LayerNeedsTree() }
        try setAttributes(node, kept.map { ($0.name, $0.value) })
    }

    private mutating func setAttributes(_ node: Int, _ attributes: [(name: [UInt8], value: [UInt8])]) throws {
        let sorted = attributes.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        guard let encoded = ErofsFormat.attributes(sorted) else { throw LayerNeedsTree() }
        try hold(encoded.count)
        nodes[node].attributes = encoded
    }

    /// Gives a name to a node; what had it before loses it. The last entry of a name wins.
    private mutating func put(_ node: Int, _ parent: Int, _ name: [UInt8]) throws {
        guard name.count <= Int(NAME_MAX) else { throw LayerNeedsTree() }
        if let old = children[parent, default: [:]].updateValue(node, forKey: name) {
            guard nodes[old].type != .directory else { throw LayerNeedsTree() }
            nodes[old].links -= 1
        }
        nodes[node].links += 1
        try hold(name.count)
    }

    // MARK: Directories

    private mutating func makeDirectory(_ path: LayerPath, _ parent: Int, _ name: [UInt8]) throws -> Int {
        let node = try append(ErofsNode(mode: UInt32(S_IFDIR) | 0o755, parent: parent))
        try put(node, parent, name)
        directories[path] = node
        try hold(path.bytes.count)
        return node
    }

    /// The directory, made if the archive did not mention it.
    private mutating func directory(_ path: LayerPath) throws -> Int {
        if path == lastParent.path { return lastParent.node }
        let node = try directories[path] ?? missingDirectory(path)
        lastParent = (path, node)
        return node
    }

    private mutating func missingDirectory(_ path: LayerPath) throws -> Int {
        var reached = LayerPath.root
        var node = 0
        for component in path.components {
            reached = reached.appending(component)
            if let known = directories[reached] {
                node = known
                continue
            }
            let name = Array(component)
            // Through a symbolic link, or a file.
            guard children[node]?[name] == nil else { throw LayerNeedsTree() }
            node = try makeDirectory(reached, node, name)
            undescribed[node] = reached
        }
        return node
    }

    private func existingDirectory(_ path: LayerPath) throws -> Int? { directories[path] }

    // MARK: End

    /// Gives directories that the layer did not describe the metadata that they have below.
    ///
    /// - Throws: `LayerNeedsParents` if one of them is no directory below: then the layer meant another place.
    mutating func settle(over lower: LowerLayers) throws {
        for (node, path) in undescribed.sorted(by: { $0.key < $1.key }) {
            switch try lower.find(path) {
            case .absent: continue
            case .directory(let below): try copyMetadata(from: below, to: node)
            case .other:
                throw LayerNeedsParents(
                    reason: BerthError(
                        .invalidArgument,
                        "\(TarReader.shown(path.bytes)): used as a directory, but a lower layer has something else"))
            }
        }
    }

    private mutating func copyMetadata(from below: OwnedDescriptor, to node: Int) throws {
        let status = try EntryCalls.status(below.fd)
        let here: [CChar] = [0x2e, 0]
        nodes[node].mode = UInt32(S_IFDIR) | status.permissions
        nodes[node].owner = status.owner
        nodes[node].group = status.group
        nodes[node].modifiedSeconds = status.modifiedSeconds
        nodes[node].modifiedNanoseconds = status.modifiedNanoseconds
        var attributes: [(name: [UInt8], value: [UInt8])] = []
        for name in try EntryCalls.attributeNames(below.fd, here) where !ErofsTree.isOfHost(name) {
            guard !name.starts(with: Array("trusted.".utf8)),
                let value = try EntryCalls.attribute(below.fd, here, name.terminated)
            else { continue }
            attributes.append((name, value))
        }
        try setAttributes(node, attributes)
    }

    /// The nodes that have a name, each directory with its entries; this has none afterwards.
    mutating func takeNodes() throws -> [ErofsNode] {
        for node in opaque.sorted() {
            guard
                ErofsFormat.add(
                    Array(Whiteout.opaqueAttribute.utf8), [UInt8(ascii: "y")], to: &nodes[node].attributes)
            else { throw LayerNeedsTree() }
        }
        var numbers = [Int](repeating: -1, count: nodes.count)
        var result: [ErofsNode] = []
        result.reserveCapacity(nodes.count)
        for index in nodes.indices where index == 0 || nodes[index].links > 0 {
            numbers[index] = result.count
            result.append(nodes[index])
        }
        for (directory, names) in children {
            let number = numbers[directory]
            result[number].entries = names.map { (name: $0.key, node: numbers[$0.value]) }
                .sorted { $0.name.lexicographicallyPrecedes($1.name) }
        }
        nodes = []
        children = [:]
        for index in result.indices where result[index].type == .directory {
            result[index].parent = numbers[result[index].parent]
            result[index].links = 2
        }
        for index in result.indices.dropFirst() where result[index].type == .directory {
            result[result[index].parent].links += 1
        }
        return result
    }
}
