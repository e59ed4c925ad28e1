internal import Core

/// A path inside a layer: components without `.`, `..`, empty ones or NULs, joined by single slashes; empty is the root.
struct LayerPath: Hashable {
    let bytes: [UInt8]

    static let root = LayerPath(bytes: [])

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// An entry's own name.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) for an absolute path and for `..`: no builder writes them in good faith.
    init(entry path: [UInt8]) throws {
        guard path.first != UInt8(ascii: "/") else {
            throw BerthError(.invalidArgument, "\(TarReader.shown(path)): absolute paths are refused in layers")
        }
        try self.init(normalizing: path)
    }

    /// The target of a hard link, which is relative to the layer's root, with or without a slash before it.
    init(hardLinkTarget path: [UInt8]) throws {
        try self.init(normalizing: path)
    }

    private init(normalizing path: [UInt8]) throws {
        if Self.isNormal(path) {
            bytes = path
            return
        }
        var result: [UInt8] = []
        result.reserveCapacity(path.count)
        for component in path.split(separator: UInt8(ascii: "/")) {
            if component.count == 1, component.first == UInt8(ascii: ".") { continue }
            guard !component.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) else {
                throw BerthError(.invalidArgument, "\(TarReader.shown(path)): paths with \"..\" are refused in layers")
            }
            if !result.isEmpty { result.append(UInt8(ascii: "/")) }
            result.append(contentsOf: component)
        }
        guard !result.contains(0) else {
            throw BerthError(.invalidArgument, "\(TarReader.shown(path)): paths with NUL bytes are refused in layers")
        }
        bytes = result
    }

    /// Most paths need no change, and each layer has tens of thousands.
    private static func isNormal(_ path: [UInt8]) -> Bool {
        var dots = 0
        var length = 0
        for byte in path {
            if byte == UInt8(ascii: "/") {
                if length == 0 || (length == dots && dots <= 2) { return false }
                dots = 0
                length = 0
            } else {
                if byte == 0 { return false }
                if byte == UInt8(ascii: ".") { dots += 1 }
                length += 1
            }
        }
        return length > 0 && !(length == dots && dots <= 2)
    }

    var isRoot: Bool { bytes.isEmpty }

    var lastSlash: Int? { bytes.lastIndex(of: UInt8(ascii: "/")) }

    var parent: LayerPath {
        guard let lastSlash else { return .root }
        return LayerPath(bytes: Array(bytes[..<lastSlash]))
    }

    var name: ArraySlice<UInt8> {
        guard let lastSlash else { return bytes[...] }
        return bytes[(lastSlash + 1)...]
    }

    func appending(_ name: some Collection<UInt8>) -> LayerPath {
        isRoot ? LayerPath(bytes: Array(name)) : LayerPath(bytes: bytes + [UInt8(ascii: "/")] + name)
    }

    var components: [ArraySlice<UInt8>] { bytes.split(separator: UInt8(ascii: "/")) }
}

extension Collection<UInt8> {
    /// As the kernel wants a name: with a NUL at the end.
    var terminated: [CChar] {
        var name: [CChar] = []
        name.reserveCapacity(count + 1)
        for byte in self { name.append(CChar(bitPattern: byte)) }
        name.append(0)
        return name
    }
}
