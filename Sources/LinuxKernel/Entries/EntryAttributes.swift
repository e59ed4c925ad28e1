internal import CKernel
internal import Glibc
public import SystemPackage

extension EntryCalls {
    public static func setAttribute(
        _ descriptor: FileDescriptor, _ attribute: Name, _ value: UnsafeRawBufferPointer
    ) throws(Errno) {
        try Syscall.check(berth_fsetxattr(descriptor.rawValue, attribute, value.baseAddress, value.count, 0))
    }

    /// Sets an attribute of an entry that cannot be opened for it (symbolic link, device, fifo).
    public static func setAttribute(
        _ directory: FileDescriptor, _ name: Name, _ attribute: Name, _ value: UnsafeRawBufferPointer
    ) throws(Errno) {
        var failure: Errno?
        withPath(directory, name) { path in
            do throws(Errno) {
                try Syscall.check(berth_lsetxattr(path, attribute, value.baseAddress, value.count, 0))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Removes an attribute; one that is not there is no error.
    public static func removeAttribute(
        _ directory: FileDescriptor, _ name: Name, _ attribute: Name
    ) throws(Errno) {
        var failure: Errno?
        withPath(directory, name) { path in
            do throws(Errno) {
                try Syscall.check(berth_lremovexattr(path, attribute))
            } catch {
                if error != .noData, error != .notSupported { failure = error }
            }
        }
        if let failure { throw failure }
    }

    /// Removes the access control lists that a new entry has from the default list of the directory that it was made in (acl(5),
    /// "OBJECT CREATION AND DEFAULT ACLs").
    public static func removeAccessLists(_ directory: FileDescriptor, _ name: Name) throws(Errno) {
        try removeAttribute(directory, name, "system.posix_acl_access")
        try removeAttribute(directory, name, "system.posix_acl_default")
    }

    /// The attribute's value, or `nil` where the entry does not have it.
    public static func attribute(
        _ directory: FileDescriptor, _ name: Name, _ attribute: Name
    ) throws(Errno) -> [UInt8]? {
        var failure: Errno?
        var value: [UInt8]?
        withPath(directory, name) { path in
            let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, initialized in
                let count = buffer.baseAddress.map { berth_lgetxattr(path, attribute, $0, buffer.count) } ?? 0
                if count < 0 { failure = Errno(rawValue: CInt(truncatingIfNeeded: -count)) }
                initialized = max(0, count)
            }
            value = bytes
        }
        if failure == .noData || failure == .notSupported { return nil }
        if let failure { throw failure }
        return value
    }

    /// Names of all attributes that the caller may see.
    public static func attributeNames(_ directory: FileDescriptor, _ name: Name) throws(Errno) -> [[UInt8]] {
        var failure: Errno?
        var list: [UInt8] = []
        withPath(directory, name) { path in
            let size = berth_llistxattr(path, nil, 0)
            guard size > 0 else {
                if size < 0 { failure = Errno(rawValue: CInt(truncatingIfNeeded: -size)) }
                return
            }
            list = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
                let count = buffer.withMemoryRebound(to: CChar.self) {
                    berth_llistxattr(path, $0.baseAddress, $0.count)
                }
                if count < 0 { failure = Errno(rawValue: CInt(truncatingIfNeeded: -count)) }
                initialized = max(0, count)
            }
        }
        if failure == .notSupported { return [] }
        if let failure { throw failure }
        return list.split(separator: 0).map(Array.init)
    }

    /// The l-variants of the attribute calls take no directory descriptor, so the entry is named through /proc/self/fd.
    private static func withPath(_ directory: FileDescriptor, _ name: Name, _ body: (Name) -> Void) {
        var path = Array("/proc/self/fd/\(directory.rawValue)/".utf8CString.dropLast())
        path.append(contentsOf: UnsafeBufferPointer(start: name, count: strlen(name) + 1))
        path.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { body(start) }
        }
    }
}

extension EntryCalls {
    /// Writes all of `bytes` at the descriptor's position.
    public static func write(_ descriptor: FileDescriptor, _ bytes: UnsafeRawBufferPointer) throws(Errno) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor.rawValue, rest.baseAddress, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno != EINTR {
                throw Errno(rawValue: errno)
            }
        }
    }

    /// Reads at `offset` until `buffer` is full or the file ends.
    ///
    /// - Returns: the number of bytes read; less than the buffer's only at the end.
    public static func read(
        _ descriptor: FileDescriptor, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        var done = 0
        while done < buffer.count, let start = buffer.baseAddress {
            let count = Glibc.pread(descriptor.rawValue, start + done, buffer.count - done, off_t(offset) + off_t(done))
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw Errno(rawValue: errno)
            }
        }
        return done
    }

    /// Reads from the descriptor's position (a pipe, a socket, a file) until `buffer` is full or the stream ends.
    public static func read(
        _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        var done = 0
        while done < buffer.count, let start = buffer.baseAddress {
            let count = Glibc.read(descriptor.rawValue, start + done, buffer.count - done)
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw Errno(rawValue: errno)
            }
        }
        return done
    }

    /// Makes a file's or directory's content durable.
    public static func synchronize(_ descriptor: FileDescriptor) throws(Errno) {
        try check { Glibc.fsync(descriptor.rawValue) }
    }

    /// Makes everything on the filesystem of `descriptor` durable.
    public static func synchronizeFilesystem(_ descriptor: FileDescriptor) throws(Errno) {
        try Syscall.check(berth_syncfs(descriptor.rawValue))
    }

    /// Starts writing dirty pages out and does not wait, so that a later fsync or syncfs has less left to do.
    public static func startWriteback(_ descriptor: FileDescriptor, from offset: Int64, count: Int64) {
        _ = berth_sync_file_range(descriptor.rawValue, offset, count, 2)
    }

    /// Names in a directory, without `.` and `..`, each ending with a NUL.
    public static func names(in directory: FileDescriptor) throws(Errno) -> [[CChar]] {
        let copy = try open(directory, ".", flags: O_RDONLY | O_DIRECTORY)
        guard let stream = Glibc.fdopendir(copy.rawValue) else {
            let error = Errno(rawValue: errno)
            _ = Glibc.close(copy.rawValue)
            throw error
        }
        defer { Glibc.closedir(stream) }
        var names: [[CChar]] = []
        while true {
            errno = 0
            guard let entry = Glibc.readdir(stream) else {
                if errno != 0 { throw Errno(rawValue: errno) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                let text = bytes.bindMemory(to: CChar.self)
                let length = text.firstIndex(of: 0) ?? text.count
                return Array(text[..<length]) + [0]
            }
            if name != [0x2e, 0] && name != [0x2e, 0x2e, 0] { names.append(name) }
        }
    }
}
