internal import Core
private import Glibc

/// A container's log file, read to its end and then followed over rotations.
public struct LogFile: ~Copyable {
    private let path: String
    private var descriptor: Int32
    private var offset = 0

    /// - Throws: `BerthError` (`notFound` and others) that names the path.
    public init(path: String) throws {
        self.path = path
        descriptor = try Self.open(path)
    }

    deinit { close(descriptor) }

    private static func open(_ path: String) throws -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code: BerthError.Code = errno == ENOENT ? .notFound : .failedPrecondition
            throw BerthError(code, "open log \(path): \(String(cString: strerror(errno)).lowercased())")
        }
        return descriptor
    }

    /// Leaves only the last `lines` lines to read.
    public mutating func skipToLast(_ lines: Int) throws {
        let size = Int(lseek(descriptor, 0, SEEK_END))
        let (descriptor, path) = (descriptor, path)
        offset = try LogFilter.offset(ofLast: lines, size: max(size, 0)) { range in
            try Self.read(descriptor, at: range.lowerBound, count: range.count, path)
        }
    }

    /// The next bytes, at most 64 KiB; empty at the present end.
    public mutating func read() throws -> [UInt8] {
        let bytes = try Self.read(descriptor, at: offset, count: 65536, path)
        offset += bytes.count
        return bytes
    }

    private static func read(_ descriptor: Int32, at offset: Int, count: Int, _ path: String) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var result: Int
            repeat {
                result = pread(descriptor, buffer.baseAddress, count, off_t(offset))
            } while result < 0 && errno == EINTR
            guard result >= 0 else {
                throw BerthError(.internal, "read log \(path): \(String(cString: strerror(errno)).lowercased())")
            }
            filled = result
        }
    }

    /// Goes on with the file that now has the log's name, where the log was rotated, or from its start where it was
    /// truncated.
    ///
    /// - Returns: whether there is something new to read.
    public mutating func followRotation() throws -> Bool {
        var present = stat()
        var named = stat()
        guard fstat(descriptor, &present) == 0 else { return false }
        if stat(path, &named) == 0, named.st_ino != present.st_ino || named.st_dev != present.st_dev {
            let next = try Self.open(path)
            close(descriptor)
            descriptor = next
            offset = 0
            return true
        }
        guard Int(present.st_size) < offset else { return false }
        offset = 0
        return true
    }
}
