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
    private let plan: ErofsPlan
    private let file: FileDescriptor
    private var metadata: ErofsMetadata
    private var isWritten: [Bool]

    /// - Parameter path: must not exist; it does not afterwards either if this fails.
    static func write(_ tree: FilePath, to path: FilePath) throws {
        let scanned = try ErofsTree(tree)
        let plan = ErofsPlan(scanned.nodes)
        guard plan.blocks <= Int64(UInt32.max) else {
            throw BerthError(.resourceExhausted, "\(tree) is larger than the 16 TiB that an EROFS image can hold")
        }
        let file = try Syscall.open(path, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
        defer { file.close() }
        do {
            var image = ErofsImage(scanned, plan, file.fd)
            try image.write()
        } catch {
            try? Syscall.unlinkat(path)
            throw error
        }
    }

    private init(_ tree: ErofsTree, _ plan: ErofsPlan, _ file: FileDescriptor) {
        self.tree = tree
        self.plan = plan
        self.file = file
        metadata = ErofsMetadata(plan, to: file)
        isWritten = [Bool](repeating: false, count: plan.nodes.count)
    }

    private mutating func write() throws {
        try FileRanges.setSize(file, plan.blocks * Int64(plan.blockSize))
        try metadata.writeDirectory(0)
        for index in plan.nodes.indices where plan.nodes[index].type == .directory {
            try writeEntries(of: index)
        }
        try metadata.finish()
    }

    private mutating func writeEntries(of index: Int) throws {
        let directory = try tree.open(directory: index)
        defer { directory.close() }
        for (name, node) in plan.nodes[index].entries where !isWritten[node] {
            isWritten[node] = true
            switch plan.nodes[node].type {
            case .directory: try metadata.writeDirectory(node)
            case .regular: try writeFile(node, in: directory, name)
            default: try metadata.write(node, content: plan.nodes[node].linkTarget)
            }
        }
    }

    private mutating func writeFile(_ index: Int, in directory: OwnedDescriptor, _ name: [UInt8]) throws {
        let source = OwnedDescriptor(
            try EntryCalls.open(directory.fd, name.terminated, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
        defer { source.close() }
        var tail = [UInt8](repeating: 0, count: plan.tailSize(of: index))
        let inBlocks = plan.nodes[index].size - Int64(tail.count)
        let read = try tail.withUnsafeMutableBytes { try EntryCalls.read(source.fd, at: inBlocks, into: $0) }
        try metadata.write(index, tail: tail)
        let copied = try FileRanges.copy(source.fd, size: inBlocks, to: file, at: plan.position(of: index))
        guard read == tail.count, copied == inBlocks else {
            throw BerthError(.aborted, "\(TarReader.shown(name)): the file shrank while it was read")
        }
    }
}
