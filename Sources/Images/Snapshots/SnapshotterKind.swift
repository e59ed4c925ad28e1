internal import Core
internal import LinuxKernel
private import Synchronization
public import SystemPackage

/// The snapshotters, by the names that they have in the configuration and in the containerd API.
public enum SnapshotterKind: String, Sendable, Hashable, CaseIterable {
    /// Layers as directories, put over each other by overlayfs.
    case overlayfs
    /// Layers as EROFS images, put over each other by overlayfs.
    case erofs
    /// Whole copies, which need nothing of the kernel.
    case native

    public func make(root: FilePath, metadata: any SnapshotMetadata) throws -> any Snapshotter {
        switch self {
        case .overlayfs: try OverlaySnapshotter(root: root, metadata: metadata)
        case .erofs: try OverlaySnapshotter.erofs(root: root, metadata: metadata)
        case .native: try NativeSnapshotter(root: root, metadata: metadata)
        }
    }

    /// The best that works on this host: `overlayfs`, else `native`. `erofs` is faster, but for who asks for it: specs/storage.md says why.
    public static func automatic(root: FilePath) -> SnapshotterKind {
        (try? SnapshotterKind.overlayfs.check(root: root)) == nil ? .native : .overlayfs
    }

    private static let known = Mutex<[String: BerthError?]>([:])

    /// Tries the mounts that the snapshotter needs, once for each directory.
    ///
    /// - Parameter root: the directory of snapshots; made if it does not exist.
    /// - Throws: `BerthError` (`failedPrecondition`) with the reason why it cannot be used on this host.
    public func check(root: FilePath) throws {
        let key = "\(rawValue) \(root)"
        if let verdict = Self.known.withLock({ $0[key] }) {
            if let verdict { throw verdict }
            return
        }
        do {
            try attempt(root)
            Self.known.withLock { $0[key] = .some(nil) }
        } catch {
            let verdict = BerthError(
                .failedPrecondition, "snapshotter \(rawValue) cannot be used in \(root)", cause: error,
                advice: "choose another one in images.snapshotter")
            Self.known.withLock { $0[key] = verdict }
            throw verdict
        }
    }

    /// What the daemon says of it at its start.
    ///
    /// - Parameter root: as in `check`, which has passed.
    public func features(root: FilePath) throws -> [String: Bool] {
        guard self == .erofs else { return [:] }
        let scratch = try SnapshotDirectories(root: root).stage().directory
        defer { try? SnapshotDirectories.remove(scratch) }
        return [
            "fs-verity": try LayerImages().hasVerity(in: scratch),
            "archives-as-data": LayerImages().archiveImage(in: scratch) != nil,
        ]
    }

    private func attempt(_ root: FilePath) throws {
        guard self != .native else { return }
        let scratch = try SnapshotDirectories(root: root).stage()
        defer { try? SnapshotDirectories.remove(scratch.directory) }
        let directory = scratch.directory
        for name in ["upper", "work", "merged"] {
            try EntryCalls.makeDirectory(directory.appending(name), mode: 0o700)
        }
        if self == .erofs {
            let images = LayerImages()
            try images.seal(directory)
            try images.open(directory)
        }
        let merged = directory.appending("merged")
        try OverlayMount(
            lower: [scratch.tree.string], upper: directory.appending("upper").string,
            work: directory.appending("work").string
        ).mount(at: merged)
        try Syscall.umount2(merged, [.detach, .noFollow])
    }
}
