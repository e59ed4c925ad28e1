internal import CKernel
internal import Glibc
public import SystemPackage

public enum SocketKind: Sendable {
    case stream, sequencedPacket, datagram

    var rawValue: Int32 {
        switch self {
        case .stream: Int32(SOCK_STREAM.rawValue)
        case .sequencedPacket: Int32(SOCK_SEQPACKET.rawValue)
        case .datagram: Int32(SOCK_DGRAM.rawValue)
        }
    }
}

/// Unix sockets. Descriptors are close-on-exec; writing to a closed peer is `brokenPipe`, never a signal.
extension Syscall {
    /// A path of any length is possible: long ones are reached through a descriptor of their directory.
    public static func connect(_ path: FilePath, _ kind: SocketKind) throws(Errno) -> OwnedDescriptor {
        try descriptor(path.withPlatformString { berth_unix_connect($0, kind.rawValue) })
    }

    public static func listen(
        _ path: FilePath, _ kind: SocketKind, mode: UInt32 = 0o600, backlog: Int32 = 128
    ) throws(Errno) -> OwnedDescriptor {
        try descriptor(path.withPlatformString { berth_unix_listen($0, kind.rawValue, mode, backlog) })
    }

    public static func accept(_ socket: FileDescriptor) throws(Errno) -> OwnedDescriptor {
        while true {
            let result = berth_accept(socket.rawValue)
            if result == -EINTR { continue }
            return try descriptor(result)
        }
    }

    public static func socketpair(_ kind: SocketKind) throws(Errno) -> (OwnedDescriptor, OwnedDescriptor) {
        var first: Int32 = -1
        var second: Int32 = -1
        try check(berth_socketpair(kind.rawValue, &first, &second))
        return (OwnedDescriptor(rawValue: first), OwnedDescriptor(rawValue: second))
    }

    /// pipe2(2), close-on-exec.
    public static func pipe(
        nonBlocking: Bool = false
    ) throws(Errno) -> (read: OwnedDescriptor, write: OwnedDescriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        try check(berth_pipe(nonBlocking, &ends.0, &ends.1))
        return (OwnedDescriptor(rawValue: ends.0), OwnedDescriptor(rawValue: ends.1))
    }

    /// sendmsg(2) with `descriptors` as SCM_RIGHTS.
    ///
    /// - Returns: how many bytes went; less than all only on a stream.
    @discardableResult
    public static func send(
        _ bytes: [UInt8], descriptors: [FileDescriptor] = [], to socket: FileDescriptor, nonBlocking: Bool = false
    ) throws(Errno) -> Int {
        let numbers = descriptors.map(\.rawValue)
        return try check(
            berth_send_descriptors(
                socket.rawValue, bytes, bytes.count, numbers, numbers.count,
                nonBlocking ? Int32(MSG_DONTWAIT) : 0))
    }

    /// recvmsg(2) with descriptors. No bytes and no descriptors: the peer closed.
    ///
    /// - Throws: `messageTooLong` where data or descriptors do not fit; none is leaked.
    public static func receive(
        from socket: FileDescriptor, limit: Int, descriptorLimit: Int = 0, nonBlocking: Bool = false
    ) throws(Errno) -> (bytes: [UInt8], descriptors: [OwnedDescriptor]) {
        var bytes = [UInt8](repeating: 0, count: limit)
        var numbers = [Int32](repeating: -1, count: max(descriptorLimit, 1))
        var count = descriptorLimit
        let size = try check(
            berth_receive_descriptors(
                socket.rawValue, &bytes, limit, &numbers, &count, nonBlocking ? Int32(MSG_DONTWAIT) : 0))
        bytes.removeLast(limit - size)
        return (bytes, numbers.prefix(count).map { OwnedDescriptor(rawValue: $0) })
    }

    public static func peerCredentials(
        _ socket: FileDescriptor
    ) throws(Errno) -> (pid: Int32, uid: UInt32, gid: UInt32) {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        var gid: UInt32 = 0
        try check(berth_peer_credentials(socket.rawValue, &pid, &uid, &gid))
        return (pid, uid, gid)
    }

    public static func setNonBlocking(_ fd: FileDescriptor, _ nonBlocking: Bool = true) throws(Errno) {
        let flags = try call { Glibc.fcntl(fd.rawValue, F_GETFL) }
        let wanted = nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        if wanted != flags { try call { Glibc.fcntl(fd.rawValue, F_SETFL, wanted) } }
    }

    public static func setCloseOnExec(_ fd: FileDescriptor, _ closeOnExec: Bool) throws(Errno) {
        try call { Glibc.fcntl(fd.rawValue, F_SETFD, closeOnExec ? FD_CLOEXEC : 0) }
    }

    public static func duplicate(_ fd: FileDescriptor) throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(rawValue: try call { Glibc.fcntl(fd.rawValue, F_DUPFD_CLOEXEC, 3) })
    }
}
