internal import Core
public import LaunchAPI
public import LinuxKernel
internal import SwiftProtobuf
public import SystemPackage

/// The control socket of one container's monitor.
///
/// A connection is made for each call, so that a client holds nothing between calls and a daemon's restart loses
/// nothing. Calls to a monitor that has ended throw `failedPrecondition`; the exit record tells the rest.
public struct MonitorClient: Sendable {
    /// The newest version of the control protocol that is spoken here. 1: as of release 0.1. 2: State tells the version.
    public static let protocolVersion: UInt32 = 2

    public let socket: FilePath

    public init(socket: FilePath) {
        self.socket = socket
    }

    public enum Status: Sendable, Equatable {
        /// Waits for `start`.
        case created
        case running
        case stopped(ExitRecord)
    }

    public struct State: Sendable, Equatable {
        public var status: Status
        public var pid: Int32
    }

    /// Lets the container's process go on to exec; returns when the exec has succeeded.
    ///
    /// - Throws: `BerthError` of the step that failed after the start (a missing program fails the launch already).
    public func start() async throws { try await call(.with { $0.start = .init() }) }

    /// - Parameter all: every process of the container's cgroup, not only the first.
    public func signal(_ number: Int32, all: Bool = false) async throws {
        try await call(
            .with {
                $0.signal.number = UInt32(clamping: number)
                $0.signal.all = all
            })
    }

    /// Size of the container's own terminal, in characters.
    public func resize(width: UInt32, height: UInt32) async throws {
        try await call(
            .with {
                $0.resize.width = width
                $0.resize.height = height
            })
    }

    /// Opens the log again by its path, after a rotation renamed it. No line is lost or split.
    public func reopenLog() async throws { try await call(.with { $0.reopenLog = .init() }) }

    public func closeStdin() async throws { try await call(.with { $0.closeStdin = .init() }) }

    /// - Throws: `BerthError`: `failedPrecondition` or `unavailable` where the monitor has ended, `unimplemented` where it
    ///   speaks a newer version of the protocol.
    public func state() async throws -> State {
        let connection = try MonitorConnection(socket)
        try await connection.send(.with { $0.getState = .init() })
        guard case .state(let state) = try await connection.reply().reply else { throw connection.unexpected() }
        guard state.protocol <= Self.protocolVersion else {
            throw BerthError(
                .unimplemented,
                "the monitor at \(socket) speaks version \(state.protocol) of its protocol, this program up to "
                    + "\(Self.protocolVersion)",
                advice: "run the version of berthd that started the container, or a newer one")
        }
        let status: Status =
            switch state.status {
            case .created: .created
            case .running: .running
            case .stopped: .stopped(ExitRecord(state.exit))
            case .UNRECOGNIZED: throw connection.unexpected()
            }
        return State(status: status, pid: state.pid)
    }

    /// Returns when the monitor has ended: its container's exit record is written then. At once where it has ended
    /// already.
    public func waitForEnd() async throws {
        let connection: MonitorConnection
        do {
            connection = try MonitorConnection(socket)
        } catch let error as BerthError where error.code == .failedPrecondition {
            return
        }
        while try await connection.nextReply() != nil {}
    }

    /// Runs the process of `plan` in the container.
    ///
    /// - Parameters:
    ///   - stdin: `nil` for /dev/null, like the others; all are ignored where the plan's stdio is a terminal.
    ///   - killOnClose: the process is killed when the session is closed or released before its end.
    public func exec(
        _ plan: Berth_Launch_V1_Plan, stdin: FileDescriptor? = nil, stdout: FileDescriptor? = nil,
        stderr: FileDescriptor? = nil, killOnClose: Bool = false
    ) async throws -> ExecSession {
        var owned: [OwnedDescriptor] = []
        var descriptors: [FileDescriptor] = []
        var request = Berth_Launch_V1_Request.with { $0.exec.killOnClose = killOnClose }
        let encoded: [UInt8] = try plan.serializedBytes()
        if encoded.count > MonitorConnection.inlinePlanLimit {
            let file = try Launcher.memoryFile("berth-plan", encoded)
            owned.append(file)
            descriptors.append(file.fd)
            request.exec.planInDescriptor = true
        } else {
            request.exec.plan = plan
        }
        if !plan.stdio.terminal {
            for given in [stdin, stdout, stderr] {
                if let given {
                    descriptors.append(given)
                } else {
                    let null = OwnedDescriptor(
                        try FileDescriptor.open("/dev/null", .readWrite, options: .closeOnExec))
                    owned.append(null)
                    descriptors.append(null.fd)
                }
            }
        }
        let connection = try MonitorConnection(socket)
        try await connection.send(request, descriptors: descriptors)
        withExtendedLifetime(owned) {}
        let (reply, received) = try await connection.replyWithDescriptors()
        guard case .execStarted(let started) = reply.reply else { throw connection.unexpected() }
        return ExecSession(pid: started.pid, terminal: received.first, connection: connection)
    }

    /// Joins the container's stdio: what it writes from now on comes out of the session.
    public func attach(stdin: Bool, stdout: Bool, stderr: Bool) async throws -> AttachSession {
        let connection = try MonitorConnection(socket)
        try await connection.send(
            .with {
                $0.attach.stdin = stdin
                $0.attach.stdout = stdout
                $0.attach.stderr = stderr
            })
        guard case .done = try await connection.reply().reply else { throw connection.unexpected() }
        return AttachSession(connection: connection)
    }

    private func call(_ request: Berth_Launch_V1_Request) async throws {
        let connection = try MonitorConnection(socket)
        try await connection.send(request)
        guard case .done = try await connection.reply().reply else { throw connection.unexpected() }
    }
}

/// A process that `MonitorClient.exec` runs.
public final class ExecSession: Sendable {
    /// In the monitor's PID namespace, that is the host's.
    public let pid: Int32
    /// The pty's master where the plan's stdio is a terminal: read, write and resize it directly.
    public let terminal: OwnedDescriptor?
    private let connection: MonitorConnection

    init(pid: Int32, terminal: OwnedDescriptor?, connection: MonitorConnection) {
        self.pid = pid
        self.terminal = terminal
        self.connection = connection
    }

    /// Waits for the end of the process; once only.
    public func wait() async throws -> (code: Int32, signal: Int32) {
        guard case .execExited(let exited) = try await connection.reply().reply else { throw connection.unexpected() }
        return (Int32(clamping: exited.exitCode), Int32(clamping: exited.signal))
    }
}

/// A connection to the container's stdio. Letting it go detaches.
public final class AttachSession: Sendable {
    public enum Output: Sendable, Equatable {
        case stdout([UInt8])
        case stderr([UInt8])
    }

    /// Bytes of one packet, both ways.
    public static let packetLimit = 32 * 1024
    private let connection: MonitorConnection

    init(connection: MonitorConnection) {
        self.connection = connection
    }

    /// - Returns: `nil` when the container's output has ended.
    public func next() async throws -> Output? {
        guard let (reply, _) = try await connection.nextReply() else { return nil }
        guard case .data(let data) = reply.reply else { throw connection.unexpected() }
        return data.stream == .stderr ? .stderr(Array(data.data)) : .stdout(Array(data.data))
    }

    /// Writes to the container's stdin; waits while it does not read.
    public func write(_ bytes: some Collection<UInt8>) async throws {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.packetLimit)
            try await connection.sendData(Array(part))
            rest = rest.dropFirst(part.count)
        }
    }

    /// End of file for the container's stdin, where its `stdin_once` says so.
    public func finishWriting() async throws { try await connection.sendData([], end: true) }
}
