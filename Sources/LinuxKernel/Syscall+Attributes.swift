internal import CKernel
public import SystemPackage

/// Extended attributes. The `l` calls never follow a symbolic link in the last component.
extension Syscall {
    public static func lgetxattr(_ path: FilePath, _ name: String) throws(Errno) -> [UInt8] {
        try value { buffer, size in
            path.withPlatformString { berth_lgetxattr($0, name, buffer, size) }
        }
    }

    public static func lsetxattr(_ path: FilePath, _ name: String, _ value: [UInt8]) throws(Errno) {
        try check(path.withPlatformString { berth_lsetxattr($0, name, value, value.count, 0) })
    }

    public static func llistxattr(_ path: FilePath) throws(Errno) -> [String] {
        let bytes = try value { buffer, size in
            path.withPlatformString {
                berth_llistxattr($0, buffer?.assumingMemoryBound(to: CChar.self), size)
            }
        }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    public static func lremovexattr(_ path: FilePath, _ name: String) throws(Errno) {
        try check(path.withPlatformString { berth_lremovexattr($0, name) })
    }

    public static func fgetxattr(_ fd: FileDescriptor, _ name: String) throws(Errno) -> [UInt8] {
        try value { buffer, size in berth_fgetxattr(fd.rawValue, name, buffer, size) }
    }

    public static func fsetxattr(_ fd: FileDescriptor, _ name: String, _ value: [UInt8]) throws(Errno) {
        try check(berth_fsetxattr(fd.rawValue, name, value, value.count, 0))
    }

    private static func value(_ read: (UnsafeMutableRawPointer?, Int) -> Int) throws(Errno) -> [UInt8] {
        while true {
            let size = try check(read(nil, 0))
            if size == 0 { return [] }
            var buffer = [UInt8](repeating: 0, count: size)
            let taken = buffer.withUnsafeMutableBytes { read($0.baseAddress, size) }
            // The value grew between the two calls.
            if taken == -Int(Errno.outOfRange.rawValue) { continue }
            buffer.removeLast(size - (try check(taken)))
            return buffer
        }
    }
}
