internal import Core
internal import LinuxKernel
internal import SystemPackage

/// Looks now and then, while much is written, whether the disk has room for it: what a registry sends must not fill it to the
/// last byte, and a small archive may become a huge tree.
struct DiskGuard: Sendable {
    /// Bytes between two looks.
    var interval: Int64 = 64 << 20

    private let path: FilePath
    private let file: OwnedDescriptor
    private var unchecked: Int64 = 0

    /// - Parameters:
    ///   - path: for messages.
    ///   - file: on the filesystem that is written to.
    init(_ path: FilePath, _ file: OwnedDescriptor) {
        self.path = path
        self.file = file
    }

    /// - Throws: `BerthError` (`resourceExhausted`) if less than the reserve is left.
    mutating func wrote(_ count: Int) throws {
        unchecked += Int64(count)
        guard unchecked >= interval else { return }
        unchecked = 0
        try require(0)
    }

    /// - Throws: `BerthError` (`resourceExhausted`) if there is no room for `bytes` more.
    func require(_ bytes: Int64) throws {
        let room = try DiskRoom(of: file.fd)
        guard bytes > room.available - room.reserve else { return }
        let wanted = bytes > 0 ? "\(bytes) bytes are needed, and " : ""
        throw BerthError(
            .resourceExhausted,
            "\(wanted)the disk of \(path) has \(room.available) bytes left, of which \(room.reserve) are kept free",
            advice: "remove images that nothing uses, or give the daemon a larger disk")
    }
}
