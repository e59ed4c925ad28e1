internal import Glibc
public import SystemPackage

/// A netlink socket of the calling thread's network namespace (netlink(7)). Blocking; datagrams in and out, no protocol.
public final class NetlinkSocket: Sendable {
    public enum Family: Int32, Sendable {
        case route = 0
    }

    /// What a socket hears without having asked: bits of `sockaddr_nl.nl_groups`.
    public struct Groups: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// `RTMGRP_LINK`: new, changed and deleted interfaces.
        public static let links = Groups(rawValue: 1)
    }

    private let descriptor: OwnedDescriptor

    /// Asks the kernel for extended acknowledgements, short error echoes and strict checks of dump requests.
    ///
    /// - Parameter timeout: seconds after which a receive gives up; the kernel answers while it sends, so this only
    ///   bounds what should not happen.
    public init(_ family: Family = .route, groups: Groups = [], timeout: Int = 20) throws(Errno) {
        let number = socket(Self.domain, Int32(SOCK_RAW.rawValue) | Self.closeOnExec, family.rawValue)
        guard number >= 0 else { throw Errno(rawValue: errno) }
        descriptor = OwnedDescriptor(rawValue: number)
        for option in [Self.shortEcho, Self.extendedAcknowledgement, Self.strictChecks] {
            var on: Int32 = 1
            // Optional: an older kernel answers without them.
            _ = setsockopt(number, Self.level, option, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        let result = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard result == 0 else { throw Errno(rawValue: errno) }
        var address = Address(groups: groups.rawValue)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        guard bound == 0 else { throw Errno(rawValue: errno) }
    }

    public func send(_ datagram: [UInt8]) throws(Errno) {
        while true {
            let sent = datagram.withUnsafeBytes { Glibc.send(descriptor.rawValue, $0.baseAddress, $0.count, 0) }
            if sent == datagram.count { return }
            guard sent < 0 else { throw .messageTooLong }
            let code = errno
            guard code == EINTR else { throw Errno(rawValue: code) }
        }
    }

    /// The next datagram from the kernel, whole; datagrams of other processes are dropped.
    ///
    /// - Throws: `wouldBlock` after the timeout.
    public func receive() throws(Errno) -> [UInt8] {
        while true {
            var buffer = [UInt8](repeating: 0, count: try nextSize())
            var sender = Address()
            var length = socklen_t(MemoryLayout<Address>.size)
            let received = buffer.withUnsafeMutableBytes { bytes in
                withUnsafeMutablePointer(to: &sender) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(descriptor.rawValue, bytes.baseAddress, bytes.count, 0, $0, &length)
                    }
                }
            }
            if received < 0 {
                let code = errno
                if code == EINTR { continue }
                throw Errno(rawValue: code)
            }
            guard sender.port == 0 else { continue }
            buffer.removeLast(buffer.count - received)
            return buffer
        }
    }

    /// Waits until a datagram is there or `other` is readable or has ended.
    ///
    /// - Returns: `false` where it is `other`, whatever else is there.
    public func isReadable(before other: FileDescriptor) throws(Errno) -> Bool {
        var wanted = [descriptor.rawValue, other.rawValue].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        try Syscall.call { poll(&wanted, nfds_t(wanted.count), -1) }
        return wanted[1].revents == 0
    }

    private func nextSize() throws(Errno) -> Int {
        while true {
            let size = recv(descriptor.rawValue, nil, 0, Self.peek | Self.truncate)
            if size >= 0 { return size }
            let code = errno
            guard code == EINTR else { throw Errno(rawValue: code) }
        }
    }

    /// `struct sockaddr_nl` of <linux/netlink.h>; port 0 is the kernel.
    private struct Address {
        var family = UInt16(NetlinkSocket.domain)
        var padding: UInt16 = 0
        var port: UInt32 = 0
        var groups: UInt32 = 0
    }

    // Macros and enumerations of <sys/socket.h> and <linux/netlink.h>.
    private static let domain: Int32 = 16
    private static let peek: Int32 = 2
    private static let truncate: Int32 = 0x20
    private static let closeOnExec: Int32 = 0o2000000
    private static let level: Int32 = 270
    private static let shortEcho: Int32 = 10
    private static let extendedAcknowledgement: Int32 = 11
    private static let strictChecks: Int32 = 12
}
