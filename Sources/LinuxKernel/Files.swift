internal import Glibc
public import SystemPackage

/// Whole files and trees of the host.
public enum Files {
    /// - Throws: `fileTooLarge` for more than `limit` bytes.
    public static func read(_ path: FilePath, limit: Int) throws(Errno) -> [UInt8] {
        // The owner has to live until the last use of its descriptor.
        let file = try Syscall.open(path, [.readOnly])
        defer { file.close() }
        return try read(file.fd, limit: limit)
    }

    /// From the descriptor's offset to the end.
    public static func read(_ fd: FileDescriptor, limit: Int) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        let size = Int(clamping: try Syscall.fstat(fd).size)
        if size > limit { throw .fileTooLarge }
        var room = max(size + 1, 4096)
        while true {
            let chunk = try readOnce(fd, room: min(room, limit + 1 - bytes.count))
            if chunk.isEmpty { return bytes }
            if bytes.isEmpty { bytes = chunk } else { bytes += chunk }
            if bytes.count > limit { throw .fileTooLarge }
            room = max(4096, bytes.count)
        }
    }

    /// One read(2); empty at the end of the file.
    static func readOnce(_ fd: FileDescriptor, room: Int) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            do throws(Errno) {
                count = try Syscall.call { Glibc.read(fd.rawValue, buffer.baseAddress, room) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// A small text file (procfs, sysfs, cgroupfs) without its last newline.
    public static func readText(_ path: FilePath, limit: Int = 1 << 20) throws(Errno) -> String {
        var bytes = try read(path, limit: limit)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// All of `bytes` in one write(2), as kernel files want it.
    public static func writeKernelFile(_ path: FilePath, _ text: String) throws(Errno) {
        let file = try Syscall.open(path, [.writeOnly])
        try writeAll(file.fd, Array(text.utf8))
    }

    public static func writeAll(_ fd: FileDescriptor, _ bytes: some Collection<UInt8>) throws(Errno) {
        let contiguous = Array(bytes)
        var start = 0
        while start < contiguous.count {
            start += try Syscall.call {
                contiguous.withUnsafeBytes {
                    Glibc.write(fd.rawValue, $0.baseAddress! + start, contiguous.count - start)
                }
            }
        }
    }

    /// Writes a temporary file beside `path` and renames it: a reader sees the old or the new content. Not fsynced.
    public static func writeAtomically(
        _ path: FilePath, _ bytes: some Collection<UInt8>, mode: UInt32 = 0o600
    ) throws(Errno) {
        try replace(path, bytes, mode: mode, durably: false)
    }

    /// As `writeAtomically`, and on the disk when it returns: temporary file, fsync, rename, fsync of the directory.
    public static func writeDurably(
        _ path: FilePath, _ bytes: some Collection<UInt8>, mode: UInt32 = 0o600
    ) throws(Errno) {
        try replace(path, bytes, mode: mode, durably: true)
    }

    private static func replace(
        _ path: FilePath, _ bytes: some Collection<UInt8>, mode: UInt32, durably: Bool
    ) throws(Errno) {
        guard let name = path.lastComponent?.string else { throw .invalidArgument }
        let parent = path.parent
        let directory = try Syscall.open(parent.isEmpty ? "." : parent, [.readOnly, .directory])
        let temporary = FilePath(".\(name.prefix(128)).\(String(UInt64.random(in: 0...UInt64.max), radix: 36))")
        let file = try Syscall.open(
            temporary, [.writeOnly, .create, .exclusive, .noFollow], mode: mode, in: directory.fd)
        do throws(Errno) {
            try Syscall.fchmod(file.fd, mode: mode)
            try writeAll(file.fd, bytes)
            if durably { try Syscall.fsync(file.fd) }
            try Syscall.renameat2(temporary, in: directory.fd, to: FilePath(name), in: directory.fd)
        } catch {
            try? Syscall.unlinkat(temporary, in: directory.fd)
            throw error
        }
        if durably { try Syscall.fsync(directory.fd) }
    }

    public static func exists(_ path: FilePath) -> Bool {
        (try? Syscall.stat(path)) != nil
    }

    /// mkdir -p; an existing directory is kept as it is.
    public static func makeDirectories(_ path: FilePath, mode: UInt32 = 0o755) throws(Errno) {
        do throws(Errno) {
            try Syscall.mkdirat(path, mode: mode)
        } catch .fileExists {
            guard try Syscall.stat(path, follow: true).kind == .directory else { throw .notDirectory }
        } catch .noSuchFileOrDirectory {
            let parent = path.parent
            guard !parent.isEmpty, parent != path else { throw .noSuchFileOrDirectory }
            try makeDirectories(parent, mode: mode)
            do throws(Errno) { try Syscall.mkdirat(path, mode: mode) } catch .fileExists {}
        }
    }

    /// rm -rf without following symbolic links; a missing path is no error. Mounts inside are not unmounted: `EBUSY`.
    public static func removeTree(_ path: FilePath) throws(Errno) {
        guard let name = path.lastComponent?.string else { throw .invalidArgument }
        let parent = path.parent
        do throws(Errno) {
            let directory = try Syscall.open(parent.isEmpty ? "." : parent, [.path, .directory])
            try removeTree(name: FilePath(name), in: directory.fd)
        } catch .noSuchFileOrDirectory {}
    }

    static func removeTree(name: FilePath, in directory: FileDescriptor) throws(Errno) {
        // Names are bytes, and depth is anybody's choice: EntryCalls knows both.
        let bytes = name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1)) }
        do throws(Errno) { try EntryCalls.removeTree(directory, bytes) } catch .noSuchFileOrDirectory {}
    }

    /// The entries of a directory, sorted; none where it does not exist.
    public static func list(_ path: FilePath) throws(Errno) -> [String] {
        do throws(Errno) {
            let directory = try Syscall.open(path, [.readOnly, .directory])
            defer { directory.close() }
            return try Syscall.list(directory.fd).sorted()
        } catch .noSuchFileOrDirectory {
            return []
        }
    }
}
