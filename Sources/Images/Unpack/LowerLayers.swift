internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// The layers below one that is being unpacked, looked at as overlayfs would show them, without mounting them.
struct LowerLayers {
    private let roots: [OwnedDescriptor]

    enum Found {
        case absent
        case directory(OwnedDescriptor)
        /// A file or a symbolic link, at the path itself or on the way to it.
        case other
    }

    /// - Parameter trees: the topmost first.
    init(_ trees: [FilePath]) throws {
        roots = try trees.map { try OwnedDescriptor.directory($0) }
    }

    var isEmpty: Bool { roots.isEmpty }

    /// What the layers have at `path`, the topmost that says anything about it deciding.
    func find(_ path: LayerPath) throws -> Found {
        let names = path.components.map(\.terminated)
        for root in roots {
            switch try Self.look(for: names, in: root) {
            case .missing: continue
            case .hidden: return .absent
            case .directory(let directory): return .directory(directory)
            case .other: return .other
            }
        }
        return .absent
    }

    private enum InLayer {
        /// Nothing here; lower layers decide.
        case missing
        /// Nothing here, and what lower layers have is hidden.
        case hidden
        case directory(OwnedDescriptor)
        case other
    }

    private static func look(for names: [[CChar]], in root: OwnedDescriptor) throws -> InLayer {
        var current = root
        var opaque = false
        for name in names {
            guard let status = try present(current.fd, name) else { return opaque ? .hidden : .missing }
            if status.isOverlayWhiteout { return .hidden }
            guard status.kind == .directory else { return .other }
            if try EntryCalls.attribute(current.fd, name, Whiteout.opaqueAttribute) == [UInt8(ascii: "y")] {
                opaque = true
            }
            let next = try EntryCalls.open(current.fd, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            current = OwnedDescriptor(next)
        }
        return .directory(current)
    }

    private static func present(_ directory: FileDescriptor, _ name: [CChar]) throws -> EntryStatus? {
        do throws(Errno) {
            return try EntryCalls.status(directory, name)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }
}

extension TreeWriter {
    /// Gives directories that the layer did not describe the metadata that they have below.
    ///
    /// - Throws: `LayerNeedsParents` if one of them is no directory below: then the layer meant another place.
    func settle(over lower: LowerLayers) throws {
        if directories.hasLostUndescribed, !lower.isEmpty {
            throw LayerNeedsParents(
                reason: BerthError(
                    .resourceExhausted, "layer has too many directories of which it says nothing itself"))
        }
        for path in directories.undescribed {
            guard let directory = try open(path) else { continue }
            switch try lower.find(try actualPath(of: directory) ?? path) {
            case .absent: continue
            case .directory(let below): try Self.copyMetadata(from: below, to: directory)
            case .other:
                throw LayerNeedsParents(
                    reason: BerthError(
                        .invalidArgument,
                        "\(TarReader.shown(path.bytes)): used as a directory, but a lower layer has something else"))
            }
        }
    }

    /// Where a directory is that was reached through symbolic links of the layer.
    private func actualPath(of directory: OwnedDescriptor) throws -> LayerPath? {
        let base = try EntryCalls.kernelPath(root.fd)
        let whole = try EntryCalls.kernelPath(directory.fd)
        guard whole.starts(with: base) else { return nil }
        return try LayerPath(hardLinkTarget: Array(whole.dropFirst(base.count)))
    }

    private static func copyMetadata(from source: OwnedDescriptor, to target: OwnedDescriptor) throws {
        let status = try EntryCalls.status(source.fd)
        let here: [CChar] = [0x2e, 0]
        try EntryCalls.setOwner(target.fd, owner: status.owner, group: status.group)
        for name in try EntryCalls.attributeNames(source.fd, here) {
            guard !name.starts(with: Array("trusted.".utf8)),
                let value = try EntryCalls.attribute(source.fd, here, name.terminated)
            else { continue }
            try value.withUnsafeBytes { try EntryCalls.setAttribute(target.fd, name.terminated, $0) }
        }
        try EntryCalls.setPermissions(target.fd, status.permissions)
        try EntryCalls.setTimes(
            target.fd, seconds: status.modifiedSeconds, nanoseconds: status.modifiedNanoseconds)
    }
}
