internal import Core
internal import Glibc
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// The ID of a pod that is ready, for a stream that comes later.
    public func readyPodSandbox(_ id: String) throws -> PodSandbox {
        let pod = try podSandbox(id)
        try pod.checkReady()
        return pod
    }

    /// Connects to `port` of the pod's loopback, IPv4 and then IPv6, and moves bytes both ways until the pod's side ends.
    ///
    /// The end of `input` half-closes the connection.
    public func portForward(
        _ port: UInt16, in id: String, from input: @escaping @Sendable () async throws -> [UInt8]?,
        to output: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let pod = try readyPodSandbox(id)
        let connection = try await connect(to: port, in: pod)
        defer { connection.close() }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await DescriptorPump.read(connection, to: output)
                return true
            }
            group.addTask {
                try await DescriptorPump.write(connection, from: input)
                shutdown(connection.rawValue, Int32(SHUT_WR))
                return false
            }
            defer { group.cancelAll() }
            var ended = false
            while !ended, let outputEnded = try await group.next() { ended = outputEnded }
        }
    }

    private func connect(to port: UInt16, in pod: PodSandbox) async throws -> OwnedDescriptor {
        var failure: Errno?
        for family in [AF_INET, AF_INET6] {
            let socket = try await loopbackSocket(family, in: pod)
            do {
                try await LoopbackSocket.connect(socket, family, port)
                return socket
            } catch let error as Errno {
                socket.close()
                failure = failure ?? error
            }
        }
        throw BerthError(
            .unavailable, "could not connect to port \(port) of pod sandbox \"\(pod.id)\"", cause: failure,
            advice: "nothing listens there on 127.0.0.1 or ::1")
    }

    /// A socket belongs to the network namespace of the thread that made it.
    private func loopbackSocket(_ family: Int32, in pod: PodSandbox) async throws -> OwnedDescriptor {
        if pod.hasHostNetwork { return try LoopbackSocket.make(family) }
        let namespace = try Syscall.open(layout.namespace("net", ofPod: pod.id), [.readOnly])
        defer { namespace.close() }
        return try await NamespaceThread.run(in: namespace.fd, type: .network) { try LoopbackSocket.make(family) }
    }
}

private enum LoopbackSocket {
    private static let timeout = Duration.seconds(10)

    static func make(_ family: Int32) throws(Errno) -> OwnedDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let socket = Glibc.socket(family, type, 0)
        guard socket >= 0 else { throw Errno(rawValue: errno) }
        return OwnedDescriptor(rawValue: socket)
    }

    /// - Throws: `Errno`
    static func connect(_ socket: OwnedDescriptor, _ family: Int32, _ port: UInt16) async throws {
        let result = family == AF_INET ? connect4(socket, port) : connect6(socket, port)
        if result == 0 { return }
        guard result == EINPROGRESS else { throw Errno(rawValue: result) }
        try await within(timeout) { try await Poller.shared.writable(socket.fd) }
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket.rawValue, SOL_SOCKET, SO_ERROR, &error, &size)
        if error != 0 { throw Errno(rawValue: error) }
    }

    private static func connect4(_ socket: OwnedDescriptor, _ port: UInt16) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket.rawValue, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 ? 0 : errno
            }
        }
    }

    private static func connect6(_ socket: OwnedDescriptor, _ port: UInt16) -> Int32 {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        address.sin6_addr = in6addr_loopback
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket.rawValue, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0 ? 0 : errno
            }
        }
    }

    private static func within(_ limit: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Pause.wait(for: limit)
                throw Errno.timedOut
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
