internal import Core
internal import LinuxKernel
public import SystemPackage

/// Reads files of an image as a container would see them, before any container exists.
public protocol ImageFiles: Sendable {
    /// - Returns: `nil` where there is no such file.
    /// - Throws: `BerthError` (`resourceExhausted`) for a file of more than `limit` bytes.
    func read(_ path: String, limit: Int) throws -> [UInt8]?
}

/// The trees of an overlay, looked through as overlayfs merges them (kernel documentation, filesystems/overlayfs):
/// whiteouts and opaque directories hide what is below, symbolic links are followed inside the merged tree.
public struct LayeredFiles: ImageFiles {
    private static let maxLinks = 40

    private let layers: [FilePath]

    /// - Parameter layers: the topmost first.
    public init(layers: [FilePath]) {
        self.layers = layers
    }

    public func read(_ path: String, limit: Int) throws -> [UInt8]? {
        do {
            return try find(path, limit: limit)
        } catch Errno.fileTooLarge {
            throw BerthError(.resourceExhausted, "\(path) of the image is larger than \(limit) bytes")
        } catch let error as Errno {
            throw BerthError(.internal, "could not read \(path) of the image", cause: error)
        }
    }

    private func find(_ path: String, limit: Int) throws -> [UInt8]? {
        let roots = try layers.map { layer throws(Errno) in try RootedDirectory(layer) }
        /// The merged directories on the way, each as the trees that make it up.
        var stack = [roots]
        var pending = Array(path.split(separator: "/").reversed())
        var links = 0
        while let name = pending.popLast() {
            if name == "." { continue }
            if name == ".." {
                if stack.count > 1 { stack.removeLast() }
                continue
            }
            switch try Self.lookUp(String(name), in: stack[stack.count - 1]) {
            case .missing: return nil
            case .directory(let trees): stack.append(trees)
            case .link(let target):
                links += 1
                guard links <= Self.maxLinks else { throw Errno.tooManySymbolicLinkLevels }
                if target.hasPrefix("/") { stack = [roots] }
                pending += target.split(separator: "/").reversed()
            case .file(let directory):
                guard pending.isEmpty else { return nil }
                return try directory.read(FilePath(String(name)), limit: limit)
            }
        }
        return nil
    }

    private enum Entry {
        case missing
        case directory([RootedDirectory])
        case link(String)
        case file(in: RootedDirectory)
    }

    private static func lookUp(_ name: String, in trees: [RootedDirectory]) throws(Errno) -> Entry {
        let path = FilePath(name)
        var merged: [RootedDirectory] = []
        for tree in trees {
            let status: FileStatus
            do throws(Errno) { status = try tree.status(path) } catch .noSuchFileOrDirectory { continue }
            guard status.kind == .directory else {
                // A whiteout, or something that ends the merging: either way what is below is hidden.
                if !merged.isEmpty || (status.kind == .characterDevice && status.deviceNumber == (0, 0)) { break }
                return status.kind == .symlink ? .link(try tree.readLink(path)) : .file(in: tree)
            }
            merged.append(try tree.directory(path))
            let directory = try tree.open(path, [.readOnly, .directory])
            defer { directory.close() }
            if (try? Syscall.fgetxattr(directory.fd, "trusted.overlay.opaque")) == [UInt8(ascii: "y")] { break }
        }
        return merged.isEmpty ? .missing : .directory(merged)
    }
}
