/// The inodes of an image in the order in which they stand in it, each with its place.
struct ErofsPlan {
    let blockSize: Int
    /// Where the inodes begin, in bytes: inodes are numbered from there.
    let metadata: Int64
    /// The root first.
    let nodes: [ErofsNode]
    /// Of the whole image.
    let blocks: Int64

    /// A file's end goes behind its inode if it is shorter than this: longer ones are better mapped.
    private static let inlineFileLimit = 1024

    /// An image of superblock, inodes and data in this order.
    init(_ nodes: [ErofsNode]) {
        self.init(
            nodes, blockSize: ErofsFormat.blockSize, metadata: 0,
            first: Int64(ErofsFormat.superblockOffset + ErofsFormat.superblockSize), holdsFiles: false)
    }

    /// An image whose files have their places already, before `metadata`.
    init(_ nodes: [ErofsNode], behindFiles metadata: Int64) {
        // An inode has no number 0.
        self.init(
            nodes, blockSize: ErofsFormat.smallBlockSize, metadata: metadata,
            first: metadata + Int64(ErofsFormat.inodeSize), holdsFiles: true)
    }

    private init(_ given: [ErofsNode], blockSize: Int, metadata: Int64, first: Int64, holdsFiles: Bool) {
        self.blockSize = blockSize
        self.metadata = metadata
        var nodes = given
        let block = Int64(blockSize)
        let slot = Int64(ErofsFormat.slotSize)
        var offset = first
        for index in nodes.indices {
            if nodes[index].type == .directory {
                nodes[index].size = Int64(Self.directorySize(nodes[index], blockSize))
            }
            let isPlaced = holdsFiles && nodes[index].type == .regular
            nodes[index].layout = isPlaced ? .plain : Self.layout(of: nodes[index], blockSize)
            let tail = Self.tailSize(nodes[index], blockSize)
            let whole = Int64(nodes[index].headSize + tail)
            let room = block - offset % block
            // What stands behind an inode must not cross a block, nor, to be simple, the inode itself.
            if tail > 0 ? whole > room : Int64(ErofsFormat.inodeSize) > room { offset += room }
            nodes[index].offset = offset
            offset = (offset + whole + slot - 1) / slot * slot
        }
        var next = (offset + block - 1) / block
        for index in nodes.indices where nodes[index].hasData {
            if holdsFiles, nodes[index].type == .regular { continue }
            nodes[index].firstBlock = next
            next += Self.blocks(nodes[index], blockSize)
        }
        self.nodes = nodes
        blocks = next
    }

    func number(of node: Int) -> UInt64 { UInt64(nodes[node].offset - metadata) / UInt64(ErofsFormat.slotSize) }

    /// Bytes behind the inode.
    func tailSize(of node: Int) -> Int { Self.tailSize(nodes[node], blockSize) }

    /// Where the whole blocks of a node's content are, in bytes.
    func position(of node: Int) -> Int64 { nodes[node].firstBlock * Int64(blockSize) }

    private static func tailSize(_ node: ErofsNode, _ block: Int) -> Int {
        node.layout == .inline ? Int(node.size % Int64(block)) : 0
    }

    /// Whole blocks elsewhere.
    private static func blocks(_ node: ErofsNode, _ block: Int) -> Int64 {
        node.layout == .inline ? node.size / Int64(block) : (node.size + Int64(block) - 1) / Int64(block)
    }

    private static func layout(of node: ErofsNode, _ block: Int) -> ErofsFormat.Layout {
        let tail = Int(node.size % Int64(block))
        guard node.hasData, tail > 0, node.headSize + tail <= block else { return .plain }
        if node.type == .regular { return tail <= inlineFileLimit ? .inline : .plain }
        return .inline
    }

    private static func directorySize(_ node: ErofsNode, _ block: Int) -> Int {
        ErofsFormat.directorySize(ErofsFormat.withDots(node.entries.map(\.name)).map(\.count), blockSize: block)
    }
}
