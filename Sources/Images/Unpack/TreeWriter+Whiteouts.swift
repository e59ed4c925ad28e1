internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Deletions in layers (image-spec, layer.md, "Whiteouts") and in overlayfs (overlayfs.rst, "whiteouts and opaque directories").
enum Whiteout {
    static let prefix = Array(".wh.".utf8)
    /// Files of aufs's own bookkeeping begin so; of them only the opaque marker means something.
    static let metaPrefix = Array(".wh..wh.".utf8)
    static let opaqueMarker = Array(".wh..wh..opq".utf8)
    static let opaqueAttribute = "trusted.overlay.opaque"
}

extension TreeWriter {
    func writeWhiteout(_ path: LayerPath) throws {
        let name = path.name
        if name.elementsEqual(Whiteout.opaqueMarker) {
            try hideBelow(path.parent)
            return
        }
        if name.starts(with: Whiteout.metaPrefix) { return }
        let original = name.dropFirst(Whiteout.prefix.count)
        guard !original.isEmpty, !original.elementsEqual([0x2e]), !original.elementsEqual([0x2e, 0x2e]) else {
            throw BerthError(.invalidArgument, "\(TarReader.shown(path.bytes)): whiteout without a name")
        }
        let target = path.parent.appending(original)
        switch form {
        case .overlayUpper: try markDeleted(target)
        case .merged: try removeLower(target)
        }
    }

    private func markDeleted(_ path: LayerPath) throws {
        let parent = try parent(of: path)
        let name = path.name.terminated
        do {
            try EntryCalls.makeNode(parent, name, mode: UInt32(S_IFCHR), major: 0, minor: 0)
        } catch Errno.fileExists {
            // The layer itself has an entry of this name: the whiteout is about what lies below it.
            if try EntryCalls.status(parent, name).kind == .directory { try makeOpaque(parent, name) }
        }
    }

    private func removeLower(_ path: LayerPath) throws {
        guard let parent = try existingDirectory(path.parent) else { return }
        let name = path.name.terminated
        if written.contains(path) {
            if try EntryCalls.status(parent, name).kind == .directory { try hideBelow(path) }
            return
        }
        do {
            try removeExisting(parent, name, path)
        } catch Errno.noSuchFileOrDirectory {}
    }

    /// Hides everything that lower layers have in the directory `path`.
    private func hideBelow(_ path: LayerPath) throws {
        switch form {
        case .overlayUpper:
            guard !path.isRoot else {
                // overlayfs does not look at the attribute on the root.
                throw unresolved(BerthError(.invalidArgument, "opaque marker in the root of the lowest layer"))
            }
            let parent = try directory(path.parent)
            _ = try directory(path)
            try makeOpaque(parent, path.name.terminated)
        case .merged:
            guard let directory = try open(path) else { return }
            for name in try EntryCalls.names(in: directory.fd) {
                let child = path.appending(name.dropLast().map(UInt8.init(bitPattern:)))
                if !written.contains(child) {
                    try removeExisting(directory.fd, name, child)
                } else if try EntryCalls.status(directory.fd, name).kind == .directory {
                    try hideBelow(child)
                }
            }
        }
    }
}
