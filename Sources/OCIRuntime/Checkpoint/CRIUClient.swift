public import CheckpointAPI
internal import Core
internal import LinuxKernel
internal import SwiftProtobuf
public import SystemPackage

/// One `criu swrk`: a worker that takes requests over a socket it inherits, one message a packet, and ends with it.
public final class CRIUClient {
    public typealias Notification = Berth_Checkpoint_V1_Notification

    private static let messageLimit = 64 * 1024

    /// The worker; it waits until it is asked.
    let process: ChildProcess
    private let socket: OwnedDescriptor
    private let program: FilePath

    /// Finds CRIU: `configured` (a name or a path), else `criu` where programs are.
    public static func locate(_ configured: String?) throws -> FilePath {
        let name = configured ?? "criu"
        let candidates =
            name.contains("/")
            ? [FilePath(name)]
            : (Environment.value("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
                .split(separator: ":").map { FilePath(String($0)).appending(name) }
        guard let found = candidates.first(where: { Files.exists($0) }) else {
            throw BerthError(.notFound, "\(name) is not installed", advice: "install the package criu")
        }
        return found
    }

    /// - Parameter descriptors: open descriptors with their numbers in CRIU: 0 to 2, and from 4 on.
    init(_ program: FilePath, descriptors: [(FileDescriptor, Int32)] = []) throws {
        self.program = program
        let (ours, theirs) = try Syscall.socketpair(.sequencedPacket)
        socket = ours
        let null = try Syscall.open("/dev/null", [.readWrite, .closeOnExec])
        var passed = descriptors + [(theirs.fd, 3)]
        for number in Int32(0)...2 where !descriptors.contains(where: { $0.1 == number }) {
            passed.append((null.fd, number))
        }
        // It calls iptables, nft and ip.
        let path = Environment.value("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        do {
            process = try withExtendedLifetime((theirs, null)) {
                try Spawn.spawn(
                    executable: program, arguments: ["criu", "swrk", "3"], environment: ["PATH=\(path)"],
                    descriptors: passed)
            }
        } catch {
            throw BerthError(.failedPrecondition, "start \(program)", cause: error)
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// - Parameter notified: what is done where CRIU stops on its way, with the descriptors that come with it.
    /// - Throws: `BerthError`: `failedPrecondition` where CRIU fails; its log says why. `deadlineExceeded` after `limit`.
    func ask(
        _ request: Berth_Checkpoint_V1_Request, within limit: Duration? = nil,
        notified: (Notification, [OwnedDescriptor]) throws -> Void = { _, _ in }
    ) throws -> Berth_Checkpoint_V1_Response {
        try send(request)
        let deadline = limit.map { ContinuousClock.now + $0 }
        var answer: Berth_Checkpoint_V1_Response?
        while answer == nil {
            try wait(until: deadline, request.operation)
            let (bytes, descriptors) = try Syscall.receive(
                from: socket.fd, limit: Self.messageLimit, descriptorLimit: 1)
            guard !bytes.isEmpty else {
                throw BerthError(.failedPrecondition, "\(program) ended without an answer to \(request.operation)")
            }
            let response = try Berth_Checkpoint_V1_Response(serializedBytes: bytes)
            guard response.success else {
                var text = "criu failed: type \(Self.name(response.operation)) errno \(response.error)"
                let words = response.message.split(whereSeparator: \.isNewline).joined(separator: "; ")
                if !words.isEmpty { text += ": \(words)" }
                throw BerthError(.failedPrecondition, text)
            }
            guard response.operation == .notify else {
                answer = response
                continue
            }
            try notified(response.notification, descriptors)
            try send(
                .with {
                    $0.operation = .notify
                    $0.notified = true
                })
        }
        return answer ?? .init()
    }

    private func wait(until deadline: ContinuousClock.Instant?, _ operation: Berth_Checkpoint_V1_Operation) throws {
        guard let deadline else { return }
        while true {
            let left = max(.zero, deadline - ContinuousClock.now)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            let events = try Syscall.poll([(socket.fd, events: 1)], timeout: Int32(clamping: milliseconds))
            if events[0] != 0 { return }
            guard ContinuousClock.now < deadline else {
                throw BerthError(.deadlineExceeded, "\(program) did not end its \(Self.name(operation)) in time")
            }
        }
    }

    private func send(_ request: Berth_Checkpoint_V1_Request) throws {
        do {
            try Syscall.send(try request.serializedBytes(), to: socket.fd)
        } catch {
            throw BerthError(.failedPrecondition, "ask \(program)", cause: error)
        }
    }

    /// As CRIU writes it.
    private static func name(_ operation: Berth_Checkpoint_V1_Operation) -> String {
        switch operation {
        case .dump: "DUMP"
        case .restore: "RESTORE"
        case .preDump: "PRE_DUMP"
        case .notify: "NOTIFY"
        case .check: "CHECK"
        case .featureCheck: "FEATURE_CHECK"
        case .version: "VERSION"
        default: "\(operation)"
        }
    }

    deinit {
        // One that waits for more requests never ends by itself.
        try? process.signal(9)
        _ = try? process.waitBlocking()
    }
}
