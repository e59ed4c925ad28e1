internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// Who the daemon is, for clients that tell several apart.
public struct DaemonIdentity: Sendable, Hashable {
    /// Made once for each `--root` and kept in the file `uuid` there.
    public let uuid: String
    public let pid: Int32
    /// Number of the PID namespace that `pid` is meant in.
    public let pidNamespace: UInt64
}

extension ImageService {
    public func identity() throws -> DaemonIdentity {
        let file = storage.root.appending("uuid")
        let uuid: String
        if let bytes = try? Files.read(file, limit: 64), bytes.count == 36 {
            uuid = String(decoding: bytes, as: UTF8.self)
        } else {
            uuid = Self.randomUUID()
            do {
                try Files.writeDurably(file, Array(uuid.utf8), mode: 0o600)
            } catch {
                throw BerthError(.internal, "could not write \(file)", cause: error)
            }
        }
        let namespace = (try? Syscall.stat("/proc/self/ns/pid", follow: true).inode) ?? 0
        return DaemonIdentity(uuid: uuid, pid: getpid(), pidNamespace: namespace)
    }

    /// The directory of the layers.
    public var snapshotDirectory: String { storage.root.appending("snapshots").string }

    /// RFC 9562, version 4.
    private static func randomUUID() -> String {
        var digits = Array(Identifier.random().prefix(32))
        digits[12] = "4"
        digits[16] = ["8", "9", "a", "b"].randomElement() ?? "8"
        return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
            .map { String($0) }.joined(separator: "-")
    }
}
