internal import Core
internal import Foundation
internal import Glibc
internal import SystemPackage

/// File operations on the node, each with an error that names the path.
enum HostFiles {
    /// umount2(2): lazily, and not through a symbolic link.
    static let detach = Int32(MNT_DETACH | UMOUNT_NOFOLLOW)
    /// O_PATH of open(2), which Glibc's module leaves out; the same on every architecture of Swift on Linux.
    static let pathOnly: Int32 = 0o10_000_000

    static func failure(_ what: String, _ path: FilePath, _ number: Int32 = errno) -> BerthError {
        BerthError(.internal, "\(what) \(path)", cause: Errno(rawValue: number))
    }

    static func makeDirectories(_ path: FilePath, mode: mode_t = 0o750) throws {
        var current = FilePath(root: path.root, [])
        for component in path.components {
            current.append(component)
            if mkdir(current.string, mode) != 0, errno != EEXIST { throw failure("make directory", current) }
        }
        var info = stat()
        guard stat(path.string, &info) == 0 else { throw failure("look at", path) }
        guard info.st_mode & S_IFMT == S_IFDIR else { throw failure("make directory", path, ENOTDIR) }
    }

    /// Writes through a temporary file, so that a reader sees the old or the new text.
    static func replace(_ path: FilePath, _ text: String, mode: mode_t) throws {
        let temporary = FilePath("\(path.string).new")
        try create(temporary, text, mode: mode)
        guard rename(temporary.string, path.string) == 0 else { throw failure("rename to", path) }
    }

    /// Writes in place: the file is bind-mounted into containers, which follow the inode and not the name.
    static func overwrite(_ path: FilePath, _ text: String, mode: mode_t) throws {
        try create(path, text, mode: mode)
    }

    private static func create(_ path: FilePath, _ text: String, mode: mode_t) throws {
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate, .closeOnExec, .noFollow],
                permissions: FilePermissions(rawValue: mode))
            try file.closeAfter {
                _ = fchmod(file.rawValue, mode)
                _ = try file.writeAll(text.utf8)
            }
        } catch let error as Errno {
            throw failure("write", path, error.rawValue)
        }
    }

    /// At most the last `limit` bytes of a regular file; `nil` where there is none.
    static func tail(_ path: FilePath, limit: Int) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow, .nonBlocking])
        else {
            return nil
        }
        defer { try? file.close() }
        var info = stat()
        guard fstat(file.rawValue, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
        let start = max(0, Int64(info.st_size) - Int64(limit))
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let read = try? bytes.withUnsafeMutableBytes { buffer in
                try file.read(
                    fromAbsoluteOffset: start + Int64(count),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            }
            guard let read, read > 0 else { break }
            count += read
        }
        return Array(bytes[..<count])
    }

    static func text(_ path: FilePath, limit: Int) throws -> String {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
            return try file.closeAfter {
                var bytes: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65536)
                while true {
                    let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
                    if count == 0 { break }
                    bytes += buffer[..<count]
                    guard bytes.count <= limit else {
                        throw BerthError(.resourceExhausted, "\(path) is larger than \(limit) bytes")
                    }
                }
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw BerthError(.invalidArgument, "\(path) is not UTF-8 text")
                }
                return text
            }
        } catch let error as Errno {
            throw failure("read", path, error.rawValue)
        }
    }

    /// Mount points at or below a path, deepest first (proc(5), mountinfo: field 5, with octal escapes).
    static func mounts(below path: FilePath) -> [FilePath] {
        guard let table = try? text("/proc/self/mountinfo", limit: 64 << 20) else { return [] }
        let points = table.split(separator: "\n").compactMap { line -> FilePath? in
            let fields = line.split(separator: " ", maxSplits: 5)
            return fields.count > 4 ? FilePath(unescape(fields[4])) : nil
        }
        return points.filter { $0.starts(with: path) }.sorted { $0.components.count > $1.components.count }
    }

    private static func unescape(_ field: Substring) -> String {
        guard field.contains("\\") else { return String(field) }
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let first = rest.first {
            let digits = rest.dropFirst().prefix(3)
            if first == UInt8(ascii: "\\"), let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8) {
                bytes.append(code)
                rest = rest.dropFirst(4)
            } else {
                bytes.append(first)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Unmounts what is mounted below a folder of the agent's, and removes it. A mount that cannot be taken away keeps
    /// its files: nothing is removed through it.
    static func removeFolder(_ path: FilePath) throws {
        for point in mounts(below: path) where umount2(point.string, HostFiles.detach) != 0 {
            throw failure("unmount", point)
        }
        var info = stat()
        guard lstat(path.string, &info) == 0 else { return }
        do {
            try FileManager.default.removeItem(atPath: path.string)
        } catch {
            throw BerthError(.internal, "remove \(path)", cause: error)
        }
    }
}
