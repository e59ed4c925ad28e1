internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Copies a directory tree with everything that a container sees of it: owners, modes, times, attributes, hard links,
/// devices, holes.
struct TreeCopy {
    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// A directory whose metadata is set once all is in it.
    private struct Pending {
        let path: [UInt8]
        let status: EntryStatus
    }

    private let source: OwnedDescriptor
    private let target: OwnedDescriptor
    private var copied: [Identity: [UInt8]] = [:]
    private var directories: [Pending] = []

    /// - Parameter target: an empty directory.
    static func copy(_ source: FilePath, to target: FilePath) throws {
        try copy(.directory(source), to: target)
    }

    static func copy(_ source: OwnedDescriptor, to target: FilePath) throws {
        var copy = TreeCopy(source: source, target: try .directory(target))
        try copy.run()
    }

    private init(source: OwnedDescriptor, target: OwnedDescriptor) {
        self.source = source
        self.target = target
    }

    private mutating func run() throws {
        directories = [Pending(path: [], status: try EntryCalls.status(source.fd))]
        var next = 0
        while next < directories.count {
            try copyEntries(of: directories[next].path)
            next += 1
        }
        // The deepest first: whatever is changed in a directory changes its time.
        for pending in directories.reversed() {
            let from = try open(pending.path, in: source)
            let to = try open(pending.path, in: target)
            try copyMetadata(from: from.fd, [0x2e, 0], pending.status, to: to.fd)
        }
    }

    /// By path from the root: depth costs no descriptors, and what is deeper than a path can be long is refused.
    private func open(_ path: [UInt8], in root: OwnedDescriptor) throws -> OwnedDescriptor {
        let name = path.isEmpty ? [0x2e, 0] : path.terminated
        return OwnedDescriptor(
            try EntryCalls.openInRoot(root.fd, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    }

    private mutating func copyEntries(of path: [UInt8]) throws {
        let from = try open(path, in: source)
        let to = try open(path, in: target)
        for name in try EntryCalls.names(in: from.fd) {
            let status = try EntryCalls.status(from.fd, name)
            let bytes = name.dropLast().map(UInt8.init(bitPattern:))
            let child = path.isEmpty ? bytes : path + [UInt8(ascii: "/")] + bytes
            if status.kind == .directory {
                try EntryCalls.makeDirectory(to.fd, name, mode: 0o700)
                directories.append(Pending(path: child, status: status))
                continue
            }
            if status.links > 1 {
                let identity = Identity(device: status.device, inode: status.inode)
                if let first = copied[identity] {
                    try EntryCalls.makeLink(to.fd, name, targetDirectory: target.fd, target: first.terminated)
                    continue
                }
                copied[identity] = child
            }
            try copyEntry(name, status, from.fd, to.fd)
        }
    }

    private func copyEntry(
        _ name: [CChar], _ status: EntryStatus, _ from: FileDescriptor, _ to: FileDescriptor
    ) throws {
        switch status.kind {
        case .regular:
            let input = OwnedDescriptor(
                try EntryCalls.open(from, name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
            let output = OwnedDescriptor(
                try EntryCalls.open(to, name, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600))
            defer {
                input.close()
                output.close()
            }
            try FileRanges.setSize(output.fd, status.size)
            _ = try FileRanges.copy(input.fd, size: status.size, to: output.fd, at: 0)
            try copyMetadata(from: from, name, status, to: output.fd)
        case .symlink:
            try EntryCalls.makeSymlink(to, name, target: EntryCalls.readLink(from, name).terminated)
            try copyMetadata(from: from, to: to, name, status)
        case .character, .block, .fifo, .socket:
            try EntryCalls.makeNode(
                to, name, mode: status.mode & ~0o7777 | 0o600, major: status.specialMajor, minor: status.specialMinor)
            try copyMetadata(from: from, to: to, name, status)
            try EntryCalls.setPermissions(to, name, status.permissions)
            try EntryCalls.setTimes(
                to, name, seconds: status.modifiedSeconds, nanoseconds: status.modifiedNanoseconds)
        case .directory, .unknown: return
        }
    }

    private func copyMetadata(
        from directory: FileDescriptor, _ name: [CChar], _ status: EntryStatus, to file: FileDescriptor
    ) throws {
        try EntryCalls.setOwner(file, owner: status.owner, group: status.group)
        for attribute in try EntryCalls.attributeNames(directory, name) where Self.isCopied(attribute) {
            guard let value = try EntryCalls.attribute(directory, name, attribute.terminated) else { continue }
            try value.withUnsafeBytes { try EntryCalls.setAttribute(file, attribute.terminated, $0) }
        }
        try EntryCalls.setPermissions(file, status.permissions)
        try EntryCalls.setTimes(file, seconds: status.modifiedSeconds, nanoseconds: status.modifiedNanoseconds)
    }

    private func copyMetadata(
        from source: FileDescriptor, to target: FileDescriptor, _ name: [CChar], _ status: EntryStatus
    ) throws {
        try EntryCalls.setOwner(target, name, owner: status.owner, group: status.group)
        for attribute in try EntryCalls.attributeNames(source, name) where Self.isCopied(attribute) {
            guard let value = try EntryCalls.attribute(source, name, attribute.terminated) else { continue }
            try value.withUnsafeBytes { try EntryCalls.setAttribute(target, name, attribute.terminated, $0) }
        }
        try EntryCalls.setTimes(
            target, name, seconds: status.modifiedSeconds, nanoseconds: status.modifiedNanoseconds)
    }

    /// Labels of the host's own are given anew; overlayfs's words about a layer say nothing of a copy.
    private static func isCopied(_ name: [UInt8]) -> Bool {
        !name.elementsEqual("security.selinux".utf8) && !name.elementsEqual("security.ima".utf8)
            && !name.elementsEqual("security.evm".utf8) && !name.starts(with: "trusted.overlay.".utf8)
    }
}
