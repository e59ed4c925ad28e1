internal import CKernel
internal import Glibc
public import SystemPackage

/// Content of files in bulk, holes kept.
public enum FileRanges {
    private static let bufferSize = 1 << 20

    /// Copies the first `size` bytes of `source` to `target` from `offset` on, in the kernel where it can (also by sharing
    /// blocks). Holes stay holes where the target has none of its own there.
    ///
    /// - Returns: how many bytes there were, which is less than `size` where the file has shrunk.
    public static func copy(
        _ source: FileDescriptor, size: Int64, to target: FileDescriptor, at offset: Int64
    ) throws(Errno) -> Int64 {
        var position: Int64 = 0
        while position < size {
            let data = berth_next_data(source.rawValue, position)
            if data == -Int64(ENXIO) { return try end(of: source, atMost: size) }
            // A filesystem that knows no holes has data everywhere.
            let start = data < 0 ? position : data
            guard start < size else { break }
            let hole = berth_next_hole(source.rawValue, start)
            let stop = min(size, hole <= start ? size : hole)
            position = try copyData(source, from: start, to: stop, target, at: offset)
            if position < stop { return position }
        }
        return size
    }

    private static func end(of file: FileDescriptor, atMost size: Int64) throws(Errno) -> Int64 {
        min(size, try EntryCalls.status(file).size)
    }

    /// - Returns: where it stopped.
    private static func copyData(
        _ source: FileDescriptor, from start: Int64, to stop: Int64, _ target: FileDescriptor, at offset: Int64
    ) throws(Errno) -> Int64 {
        var position = start
        while position < stop {
            let wanted = Int(min(stop - position, 1 << 30))
            let count = berth_copy_range(
                source.rawValue, position, target.rawValue, offset + position, wanted)
            if count == -Int(EINTR) { continue }
            if count == -Int(EXDEV) || count == -Int(EINVAL) || count == -Int(ENOSYS) || count == -Int(EOPNOTSUPP) {
                return try copyThroughMemory(source, from: position, to: stop, target, at: offset)
            }
            if count < 0 { throw Errno(rawValue: CInt(truncatingIfNeeded: -count)) }
            if count == 0 { break }
            position += Int64(count)
        }
        return position
    }

    private static func copyThroughMemory(
        _ source: FileDescriptor, from start: Int64, to stop: Int64, _ target: FileDescriptor, at offset: Int64
    ) throws(Errno) -> Int64 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 4096)
        defer { buffer.deallocate() }
        var position = start
        while position < stop {
            let wanted = UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<Int(min(Int64(bufferSize), stop - position))])
            let count = try EntryCalls.read(source, at: position, into: wanted)
            if count == 0 { break }
            try write(target, UnsafeRawBufferPointer(rebasing: wanted[..<count]), at: offset + position)
            position += Int64(count)
        }
        return position
    }

    /// Writes all of `bytes` at `offset`.
    public static func write(
        _ target: FileDescriptor, _ bytes: UnsafeRawBufferPointer, at offset: Int64
    ) throws(Errno) {
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            let count = pwrite(target.rawValue, start + done, bytes.count - done, off_t(offset) + off_t(done))
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw Errno(rawValue: errno)
            }
        }
    }

    /// Gives the file `size` bytes; what is new is a hole.
    public static func setSize(_ file: FileDescriptor, _ size: Int64) throws(Errno) {
        try EntryCalls.check { ftruncate(file.rawValue, off_t(size)) }
    }
}
