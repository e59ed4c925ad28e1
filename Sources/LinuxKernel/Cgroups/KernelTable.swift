internal import Glibc

/// A kernel file of `KEY VALUE` lines, of which some are wanted: no string is made of the others.
struct KernelTable {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// - Returns: `nil` where no line has the key, or its value is no number.
    subscript(_ key: StaticString) -> UInt64? {
        let length = key.utf8CodeUnitCount
        return bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return nil }
            var at = 0
            while at < bytes.count {
                let newline = memchr(start + at, 0x0a, bytes.count - at)
                let end = newline.map { UnsafeRawPointer($0) - start } ?? bytes.count
                if end - at > length + 1, bytes[at + length] == 0x20, memcmp(start + at, key.utf8Start, length) == 0 {
                    return UInt64(String(decoding: bytes[(at + length + 1)..<end], as: UTF8.self))
                }
                at = end + 1
            }
            return nil
        }
    }
}
