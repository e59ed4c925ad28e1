internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import SwiftProtobuf
internal import SystemPackage

/// One connection to a monitor: packets of Request and Reply.
final class MonitorConnection: Sendable {
    /// Larger plans travel in a descriptor.
    static let inlinePlanLimit = 48 * 1024
    private static let packetLimit = 64 * 1024

    private let socket: OwnedDescriptor
    private let path: FilePath

    init(_ path: FilePath) throws {
        self.path = path
        socket = try Self.connect(path)
    }

    private static func connect(_ path: FilePath) throws -> OwnedDescriptor {
        do {
            return try Syscall.connect(path, .sequencedPacket)
        } catch Errno.noSuchFileOrDirectory, Errno.connectionRefused {
            throw BerthError(.failedPrecondition, "the container is not running: its monitor at \(path) has ended")
        } catch {
            throw BerthError(.unavailable, "connect to monitor \(path)", cause: error)
        }
    }

    func send(_ request: Berth_Launch_V1_Request, descriptors: [FileDescriptor] = []) async throws {
        try await send(bytes: request.serializedBytes(), descriptors: descriptors)
    }

    func sendData(_ bytes: [UInt8], end: Bool = false) async throws {
        let data = Berth_Launch_V1_StreamData.with {
            $0.stream = .stdin
            $0.data = .init(bytes)
            $0.end = end
        }
        try await send(bytes: data.serializedBytes(), descriptors: [])
    }

    private func send(bytes: [UInt8], descriptors: [FileDescriptor]) async throws {
        var sent = try sendNow(bytes, descriptors)
        while !sent {
            try await Poller.shared.writable(socket.fd)
            sent = try sendNow(bytes, descriptors)
        }
    }

    /// - Returns: whether there was room.
    private func sendNow(_ bytes: [UInt8], _ descriptors: [FileDescriptor]) throws -> Bool {
        do {
            try Syscall.send(bytes, descriptors: descriptors, to: socket.fd, nonBlocking: true)
            return true
        } catch {
            switch error {
            case .resourceTemporarilyUnavailable: return false
            case .brokenPipe, .connectionReset:
                throw BerthError(.failedPrecondition, "the monitor at \(path) has ended")
            default: throw error
            }
        }
    }

    /// - Throws: `BerthError` where the monitor answered with a failure or not at all.
    func reply() async throws -> Berth_Launch_V1_Reply { try await replyWithDescriptors().0 }

    func replyWithDescriptors() async throws -> (Berth_Launch_V1_Reply, [OwnedDescriptor]) {
        guard let reply = try await nextReply() else {
            throw BerthError(.unavailable, "the monitor at \(path) ended without an answer")
        }
        return reply
    }

    /// - Returns: `nil` when the monitor has closed the connection.
    func nextReply() async throws -> (Berth_Launch_V1_Reply, [OwnedDescriptor])? {
        var received = try receiveNow()
        while case .nothing = received {
            try await Poller.shared.readable(socket.fd)
            received = try receiveNow()
        }
        guard case .packet(let bytes, let descriptors) = received else { return nil }
        let reply = try Berth_Launch_V1_Reply(serializedBytes: bytes)
        if case .failure(let failure) = reply.reply { throw BerthError(launchFailure: failure) }
        return (reply, descriptors)
    }

    private enum Received {
        case nothing
        case packet([UInt8], [OwnedDescriptor])
        case end
    }

    private func receiveNow() throws(Errno) -> Received {
        do {
            let packet = try Syscall.receive(
                from: socket.fd, limit: Self.packetLimit, descriptorLimit: 1, nonBlocking: true)
            return packet.bytes.isEmpty ? .end : .packet(packet.bytes, packet.descriptors)
        } catch {
            switch error {
            case .resourceTemporarilyUnavailable: return .nothing
            case .connectionReset: return .end
            default: throw error
            }
        }
    }

    func unexpected() -> BerthError {
        BerthError(.internal, "the monitor at \(path) answered with something else than was asked for")
    }
}
