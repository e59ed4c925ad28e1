internal import Core
internal import Glibc
internal import LinuxKernel
internal import SystemPackage

/// The path to listen at.
enum ListeningSocket {
    /// Makes its directory and removes the socket of a daemon that is gone.
    ///
    /// - Throws: `BerthError` where something answers there, or what is there is no socket.
    static func prepare(_ path: FilePath) throws {
        do {
            try Files.makeDirectories(path.removingLastComponent(), mode: 0o711)
        } catch {
            throw BerthError(.internal, "could not make the directory of \(path)", cause: error)
        }
        guard let status = try? Syscall.stat(path) else { return }
        guard status.kind == .socket else {
            throw BerthError(
                .failedPrecondition, "\(path) is there and is no socket", advice: "remove it or give another --address")
        }
        guard !answers(path) else {
            throw BerthError(
                .failedPrecondition, "another daemon serves on \(path)",
                advice: "stop it, or give this one another --address")
        }
        do {
            try Syscall.unlinkat(path)
        } catch {
            throw BerthError(.internal, "could not remove the old socket \(path)", cause: error)
        }
    }

    private static func answers(_ path: FilePath) -> Bool {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { return false }
        defer { close(fd) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.string.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
