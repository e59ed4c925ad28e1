internal import Core
internal import LinuxKernel
public import OCISpec

/// Builds an image of one layer out of files, the same bytes for the same files: what a test, a demonstration or an
/// appliance needs where no registry is at hand.
public struct RootFSImageBuilder: Sendable {
    /// What stands at a path of the image.
    public enum Node: Sendable {
        case directory(mode: UInt32)
        case file(content: [UInt8], mode: UInt32)
        case symlink(target: String)

        fileprivate var isDirectory: Bool {
            if case .directory = self { true } else { false }
        }
    }

    public var platform: Platform
    public var execution: ImageConfig.Execution
    /// Absolute path to node, without the root.
    public private(set) var nodes: [String: Node] = [:]

    public init(platform: Platform = .host, execution: ImageConfig.Execution = .init()) {
        self.platform = platform
        self.execution = execution
    }

    /// Adds a node and the directories above it.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) for a path that is not absolute and normal, that leads through something else
    ///   than directories, or that would replace a directory by something else.
    public mutating func add(_ node: Node, at path: String) throws {
        let components = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard path.hasPrefix("/"), path.utf8.count > 1, components.allSatisfy({ !["", ".", ".."].contains($0) }),
            !path.utf8.contains(0)
        else {
            throw BerthError.invalid(
                field: "path in the image", value: path, rule: "must be absolute, without . and ..")
        }
        let parents = (1..<components.count).map { "/" + components.prefix($0).joined(separator: "/") }
        for parent in parents {
            guard nodes[parent]?.isDirectory ?? true else {
                throw BerthError.invalid(
                    field: "path in the image", value: path, rule: "is below \(parent), which is no directory")
            }
        }
        if let known = nodes[path], known.isDirectory, !node.isDirectory {
            throw BerthError.invalid(field: "path in the image", value: path, rule: "is a directory already")
        }
        for parent in parents where nodes[parent] == nil { nodes[parent] = .directory(mode: 0o755) }
        nodes[path] = node
    }

    /// A busybox with a link for each of its applets and the directories that programs expect.
    ///
    /// - Parameters:
    ///   - busybox: a statically linked busybox; its applets are asked of it.
    ///   - applets: paths below the root, such as `bin/sh`.
    public mutating func addBusybox(_ busybox: [UInt8], applets: [String]) throws {
        for folder in [
            "/dev", "/etc", "/proc", "/root", "/sys", "/usr/bin", "/usr/sbin", "/var", "/home", "/bin", "/sbin",
        ] {
            try add(.directory(mode: 0o755), at: folder)
        }
        try add(.directory(mode: 0o1777), at: "/tmp")
        try add(.file(content: busybox, mode: 0o755), at: "/bin/busybox")
        for applet in applets where applet != "bin/busybox" {
            try add(.symlink(target: "/bin/busybox"), at: "/" + applet)
        }
        try add(
            .file(
                content: Array("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n".utf8),
                mode: 0o644),
            at: "/etc/passwd")
        try add(
            .file(content: Array("root:x:0:\nnogroup:x:65534:\n".utf8), mode: 0o644), at: "/etc/group")
    }

    /// Writes layer, config and manifest into `content`.
    ///
    /// - Returns: the manifest's descriptor.
    public func build(into content: ContentStore) throws -> Descriptor {
        let writer = try content.ingest("build-\(Identifier.random())")
        let layer: Digest
        do {
            try writeLayer(into: writer)
            layer = try writer.commit(expecting: nil)
        } catch {
            writer.abort()
            throw error
        }
        let size = try content.info(layer).size
        let config = try StrictJSON.encode(
            ImageConfig(
                platform: platform, created: "1970-01-01T00:00:00Z", config: execution, rootfs: .init(diffIDs: [layer]))
        )
        let configDigest = try content.write(config)
        let manifest = Manifest(
            mediaType: .imageManifest,
            config: Descriptor(mediaType: .imageConfig, digest: configDigest, size: Int64(config.count)),
            layers: [Descriptor(mediaType: .layer, digest: layer, size: size)])
        let bytes = try StrictJSON.encode(manifest)
        var target = Descriptor(mediaType: .imageManifest, digest: try content.write(bytes), size: Int64(bytes.count))
        target.platform = platform
        return target
    }

    private func writeLayer(into writer: IngestWriter) throws {
        var tar = TarWriter { try writer.write($0) }
        // Sorted by path, a directory comes before what is in it.
        for (path, node) in nodes.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            let name = Array(path.utf8.dropFirst())
            switch node {
            case .directory(let mode):
                try tar.add(TarEntry(kind: .directory, path: name + [UInt8(ascii: "/")], mode: mode))
            case .file(let content, let mode): try tar.add(TarEntry(path: name, mode: mode), content: content)
            case .symlink(let target):
                try tar.add(TarEntry(kind: .symlink, path: name, linkTarget: Array(target.utf8), mode: 0o777))
            }
        }
        try tar.finish()
    }
}
