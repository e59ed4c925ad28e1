internal import Core
internal import Glibc
internal import LinuxKernel
internal import SystemPackage

/// A layer cannot be unpacked by itself: it refers to something below it (a hard link to a file of a lower layer, a directory
/// reached through a lower layer's symbolic link). It is unpacked again over a mount of its parents then.
struct LayerNeedsParents: Error {
    let reason: BerthError
}

/// Writes the entries of one layer into a directory tree.
///
/// Every name is resolved by the kernel beneath the tree's root (openat2 `RESOLVE_IN_ROOT`), and the last component is never
/// followed, so that nothing outside can be reached whatever links the layer makes. Directories get their owner, mode,
/// attributes and times at the end, when nothing more is written into them.
final class TreeWriter {
    /// What a whiteout becomes.
    enum Form {
        /// The tree is an overlayfs upper directory: a 0:0 character device, the attribute `trusted.overlay.opaque`.
        case overlayUpper
        /// The tree shows lower layers too (a mounted overlay): what is there is removed.
        case merged
    }

    let root: OwnedDescriptor
    let form: Form
    let umask: UInt32
    private var parents: [LayerPath: OwnedDescriptor] = [:]
    /// Descriptors no longer in `parents` that the entry being written may still use.
    private var retired: [OwnedDescriptor] = []
    var directories: PendingDirectories
    /// Only in the merged form: what this layer has written, with all directories above.
    var written = PathMarks()

    /// - Parameter tree: an empty directory in the form `overlayUpper`.
    init(tree: FilePath, form: Form) throws {
        self.form = form
        root = try OwnedDescriptor.directory(tree)
        umask = FileCreationMask.current
        directories = PendingDirectories(scratch: tree.removingLastComponent())
        directories.addUndescribed(.root)
    }

    func write(_ entry: TarEntry, from reader: TarReader) throws {
        let path = try LayerPath(entry: entry.path)
        if !retired.isEmpty { retired.removeAll() }
        if parents.count >= 128 { parents.removeAll(keepingCapacity: true) }
        do {
            if path.isRoot {
                guard entry.kind == .directory else {
                    throw BerthError(.invalidArgument, "the layer's root is not a directory")
                }
                try directories.describe(.root, DirectoryMetadata(entry))
                return
            }
            if path.name.starts(with: Whiteout.prefix) {
                try writeWhiteout(path)
                return
            }
            if form == .merged { remember(path) }
            try writeEntry(entry, at: path, from: reader)
        } catch let error as Errno {
            throw Self.failure(entry.path, error)
        }
    }

    private func writeEntry(_ entry: TarEntry, at path: LayerPath, from reader: TarReader) throws {
        let parent = try parent(of: path)
        let name = path.name.terminated
        switch entry.kind {
        case .directory:
            try makeDirectory(parent, name, path)
            try directories.describe(path, DirectoryMetadata(entry))
        case .regular:
            try writeFile(entry, parent, name, path, from: reader)
        case .hardLink:
            try makeHardLink(entry, parent, name, path)
        case .symlink:
            try replacing(parent, name, path) {
                try EntryCalls.makeSymlink(parent, name, target: entry.linkTarget.terminated)
            }
            try setMetadata(entry, parent, name, mode: nil)
        case .characterDevice, .blockDevice, .fifo:
            try makeNode(entry, parent, name, path)
        }
    }

    // MARK: Kinds of entries

    private func writeFile(
        _ entry: TarEntry, _ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath, from reader: TarReader
    ) throws {
        // Set-ID bits come after chown, which would clear them.
        let special = entry.mode & 0o7000 != 0
        let mode = special ? 0o600 : entry.mode & 0o777
        let file = try replacing(parent, name, path) {
            try EntryCalls.open(parent, name, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        }
        defer { _ = Glibc.close(file.rawValue) }
        if form == .merged { try EntryCalls.removeAccessLists(parent, name) }
        try writeContent(of: entry, to: file, from: reader)
        if needsOwner(entry) { try EntryCalls.setOwner(file, owner: entry.owner, group: entry.group) }
        try setAttributes(of: entry) { try EntryCalls.setAttribute(file, $0, $1) }
        if special || form == .merged || entry.mode & umask != 0 { try EntryCalls.setPermissions(file, entry.mode) }
        try EntryCalls.setTimes(
            file, seconds: entry.modifiedSeconds, nanoseconds: entry.modifiedNanoseconds)
        if entry.size >= 1 << 20 { EntryCalls.startWriteback(file, from: 0, count: 0) }
    }

    private func writeContent(of entry: TarEntry, to file: FileDescriptor, from reader: TarReader) throws {
        guard let extents = entry.extents else {
            try reader.readContent { try EntryCalls.write(file, $0) }
            return
        }
        try FileRanges.setSize(file, entry.size)
        var index = 0
        /// Bytes of the extent `index` that are written.
        var done: Int64 = 0
        try reader.readContent { piece in
            var piece = piece
            while !piece.isEmpty, index < extents.count {
                let extent = extents[index]
                let part = UnsafeRawBufferPointer(rebasing: piece.prefix(Int(clamping: extent.count - done)))
                try FileRanges.write(file, part, at: extent.offset + done)
                piece = UnsafeRawBufferPointer(rebasing: piece[part.count...])
                done += Int64(part.count)
                if done == extent.count { (index, done) = (index + 1, 0) }
            }
        }
    }

    /// What is made has root's IDs, except in a set-group-ID directory, which only lower layers can have by now.
    private func needsOwner(_ entry: TarEntry) -> Bool {
        form == .merged || entry.owner != 0 || entry.group != 0
    }

    private func makeHardLink(
        _ entry: TarEntry, _ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath
    ) throws {
        let target = try LayerPath(hardLinkTarget: entry.linkTarget)
        guard !target.isRoot, target != path else {
            throw BerthError(
                .invalidArgument,
                "\(TarReader.shown(entry.path)): hard link to \(TarReader.shown(entry.linkTarget)) is refused")
        }
        let missing = BerthError(
            .invalidArgument,
            "\(TarReader.shown(entry.path)): hard link to \(TarReader.shown(entry.linkTarget)), which does not exist in the image"
        )
        let targetName = target.name.terminated
        guard let targetParent = try existingDirectory(target.parent),
            let status = try Self.status(targetParent, targetName)
        else { throw unresolved(missing) }
        guard status.kind != .directory, !(form == .overlayUpper && status.isOverlayWhiteout) else { throw missing }
        try replacing(parent, name, path) {
            try EntryCalls.makeLink(parent, name, targetDirectory: targetParent, target: targetName)
        }
    }

    /// `nil` if there is no such entry.
    private static func status(_ directory: FileDescriptor, _ name: [CChar]) throws -> EntryStatus? {
        do {
            return try EntryCalls.status(directory, name)
        } catch Errno.noSuchFileOrDirectory {
            return nil
        }
    }

    private func makeNode(
        _ entry: TarEntry, _ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath
    ) throws {
        let type: UInt32
        switch entry.kind {
        case .characterDevice: type = UInt32(S_IFCHR)
        case .blockDevice: type = UInt32(S_IFBLK)
        default: type = UInt32(S_IFIFO)
        }
        guard !(entry.kind == .characterDevice && entry.deviceMajor == 0 && entry.deviceMinor == 0) else {
            throw BerthError(
                .invalidArgument,
                "\(TarReader.shown(entry.path)): a character device 0:0 is refused: overlayfs would take it as a deletion"
            )
        }
        guard entry.deviceMajor < 1 << 12, entry.deviceMinor < 1 << 20 else {
            throw BerthError(
                .invalidArgument,
                "\(TarReader.shown(entry.path)): device number \(entry.deviceMajor):\(entry.deviceMinor) is out of range"
            )
        }
        try replacing(parent, name, path) {
            try EntryCalls.makeNode(
                parent, name, mode: type | entry.mode & 0o777, major: entry.deviceMajor, minor: entry.deviceMinor)
        }
        if form == .merged { try EntryCalls.removeAccessLists(parent, name) }
        try setMetadata(entry, parent, name, mode: entry.mode)
    }

    func makeDirectory(_ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath) throws {
        do {
            try makeNewDirectory(parent, name, mode: 0o700)
        } catch Errno.fileExists {
            let existing = try EntryCalls.status(parent, name)
            if existing.kind == .directory { return }
            try removeExisting(parent, name, path)
            try makeNewDirectory(parent, name, mode: 0o700)
            // Deleted and made anew in one layer: what lower layers have in it stays hidden.
            if form == .overlayUpper, existing.isOverlayWhiteout { try makeOpaque(parent, name) }
        }
    }

    /// Lower layers may have directories with default access control lists, which mean nothing for what this layer says of its own.
    private func makeNewDirectory(_ parent: FileDescriptor, _ name: [CChar], mode: UInt32) throws {
        try EntryCalls.makeDirectory(parent, name, mode: mode)
        if form == .merged { try EntryCalls.removeAccessLists(parent, name) }
    }

    /// Owner, attributes, mode and times of what cannot be opened without side effects.
    private func setMetadata(
        _ entry: TarEntry, _ parent: FileDescriptor, _ name: [CChar], mode: UInt32?
    ) throws {
        if needsOwner(entry) { try EntryCalls.setOwner(parent, name, owner: entry.owner, group: entry.group) }
        try setAttributes(of: entry) { try EntryCalls.setAttribute(parent, name, $0, $1) }
        if let mode { try EntryCalls.setPermissions(parent, name, mode) }
        try EntryCalls.setTimes(
            parent, name, seconds: entry.modifiedSeconds, nanoseconds: entry.modifiedNanoseconds)
    }

    // MARK: End

    /// Applies what was put off: metadata of directories.
    func finish() throws {
        parents.removeAll()
        if form == .overlayUpper, directories.undescribed.contains(.root) {
            try EntryCalls.setPermissions(root.fd, 0o755)
        }
        try directories.drain { path, metadata in
            do {
                guard let directory = try open(path) else { return }
                try apply(metadata, to: directory.fd)
            } catch let error as Errno {
                throw Self.failure(path.bytes, error)
            }
        }
    }

    private func apply(_ metadata: DirectoryMetadata, to directory: FileDescriptor) throws {
        try EntryCalls.setOwner(directory, owner: metadata.owner, group: metadata.group)
        try set(metadata.attributes) { try EntryCalls.setAttribute(directory, $0, $1) }
        try EntryCalls.setPermissions(directory, metadata.mode)
        try EntryCalls.setTimes(
            directory, seconds: metadata.modifiedSeconds, nanoseconds: metadata.modifiedNanoseconds)
    }

    /// A directory of this layer for reading; `nil` if it is no directory (any more).
    func open(_ path: LayerPath) throws -> OwnedDescriptor? {
        try openIfPresent(path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    // MARK: Parents

    /// The directory that `path` is in, made if the archive did not mention it.
    func parent(of path: LayerPath) throws -> FileDescriptor {
        path.lastSlash == nil ? root.fd : try directory(path.parent)
    }

    func directory(_ path: LayerPath) throws -> FileDescriptor {
        if let existing = try existingDirectory(path) { return existing }
        var reached = LayerPath.root
        var descriptor = root.fd
        for component in path.components {
            reached = reached.appending(component)
            descriptor = try child(component.terminated, of: descriptor, reached)
        }
        return descriptor
    }

    /// The directory `path`, whose parent is open and exists, made if it is missing.
    private func child(_ name: [CChar], of parent: FileDescriptor, _ path: LayerPath) throws -> FileDescriptor {
        if let existing = try existingDirectory(path) { return existing }
        if try Self.status(parent, name) != nil {
            try makeRoom(parent, name, path)
        } else {
            try makeNewDirectory(parent, name, mode: 0o755)
        }
        switch form {
        case .overlayUpper: directories.addUndescribed(path)
        case .merged:
            written.insert(path)
            try EntryCalls.setOwner(parent, name, owner: 0, group: 0)
        }
        try EntryCalls.setPermissions(parent, name, 0o755)
        guard let made = try existingDirectory(path) else { throw Errno.notDirectory }
        return made
    }

    /// Something is there that is no directory: only a whiteout of this very layer gives way.
    private func makeRoom(_ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath) throws {
        let existing = try EntryCalls.status(parent, name)
        if form == .overlayUpper, existing.isOverlayWhiteout {
            try makeDirectory(parent, name, path)
            return
        }
        let problem = BerthError(
            .invalidArgument,
            existing.kind == .symlink
                ? "\(TarReader.shown(path.bytes)): used as a directory, but it is a symbolic link that leads nowhere"
                : "\(TarReader.shown(path.bytes)): used as a directory, but it is none")
        throw existing.kind == .symlink ? unresolved(problem) : problem
    }

    /// - Returns: `nil` if there is no such directory; the descriptor is valid until the next entry.
    func existingDirectory(_ path: LayerPath) throws -> FileDescriptor? {
        if path.isRoot { return root.fd }
        if let known = parents[path] { return known.fd }
        guard let opened = try openIfPresent(path, flags: OpenFlags.path.rawValue | O_DIRECTORY) else { return nil }
        parents[path] = opened
        return opened.fd
    }

    /// `nil` if there is no directory of this path.
    private func openIfPresent(_ path: LayerPath, flags: Int32) throws -> OwnedDescriptor? {
        let name = path.isRoot ? [0x2e, 0] : path.bytes.terminated
        do throws(Errno) {
            return OwnedDescriptor(try EntryCalls.openInRoot(root.fd, name, flags: flags))
        } catch {
            switch error {
            case .noSuchFileOrDirectory, .notDirectory: return nil
            case .tooManySymbolicLinkLevels where flags & O_NOFOLLOW != 0: return nil
            case .tooManySymbolicLinkLevels:
                throw BerthError(.invalidArgument, "\(TarReader.shown(path.bytes)): symbolic links form a loop")
            default: throw error
            }
        }
    }

    /// Runs `make`, which fails if the name is taken; what has it then is removed first. The last entry of a name wins.
    private func replacing<Result>(
        _ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath, _ make: () throws -> Result
    ) throws -> Result {
        do {
            return try make()
        } catch Errno.fileExists {
            try removeExisting(parent, name, path)
            return try make()
        }
    }

    func removeExisting(_ parent: FileDescriptor, _ name: [CChar], _ path: LayerPath) throws {
        // Cached descriptors may be of what is removed now, or be reached through it.
        retired.append(contentsOf: parents.values)
        parents.removeAll(keepingCapacity: true)
        try EntryCalls.removeTree(parent, name)
        directories.remove(path)
    }

    func makeOpaque(_ parent: FileDescriptor, _ name: [CChar]) throws {
        let directory = OwnedDescriptor(
            try EntryCalls.open(parent, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        try [UInt8(ascii: "y")].withUnsafeBytes {
            try EntryCalls.setAttribute(directory.fd, Whiteout.opaqueAttribute, $0)
        }
    }

    private func remember(_ path: LayerPath) {
        var path = path
        while !path.isRoot, written.insert(path) { path = path.parent }
    }

    /// `problem` itself where there is nothing below, or all that is below is visible already.
    func unresolved(_ problem: BerthError) -> any Error {
        form == .merged ? problem : LayerNeedsParents(reason: problem)
    }

    private func setAttributes(
        of entry: TarEntry, _ set: (_ name: [CChar], _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard !entry.attributes.isEmpty else { return }
        try self.set(
            entry.attributes.filter { try AttributePolicy.decide($0.name, path: entry.path) == .set }, set)
    }

    private func set(
        _ attributes: [TarEntry.Attribute], _ set: (_ name: [CChar], _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for attribute in attributes {
            do {
                try attribute.value.withUnsafeBytes { try set(attribute.name.terminated, $0) }
            } catch Errno.notSupported {
                // A filesystem without attributes of this kind is no reason to fail.
            }
        }
    }

    static func failure(_ path: [UInt8], _ error: Errno) -> BerthError {
        let code: BerthError.Code
        switch error {
        case .noSpace: code = .resourceExhausted
        case Errno(rawValue: EDQUOT): code = .resourceExhausted
        case .fileNameTooLong, .invalidArgument, .noSuchFileOrDirectory, .notDirectory: code = .invalidArgument
        default: code = .internal
        }
        return BerthError(code, "unpack \(TarReader.shown(path))", cause: error)
    }
}
