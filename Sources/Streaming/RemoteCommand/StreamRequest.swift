/// What a one-time URL stands for.
public enum StreamRequest: Sendable {
    case exec(CommandRequest, command: [String])
    case attach(CommandRequest)
    /// - Parameter ports: those of the request; WebSocket's channels are of these.
    case portForward(sandbox: String, ports: [UInt16])

    var path: String {
        switch self {
        case .exec: "exec"
        case .attach: "attach"
        case .portForward: "portforward"
        }
    }
}

/// A container, and which of a command's streams are wanted.
public struct CommandRequest: Sendable {
    public var container: String
    public var tty: Bool
    public var stdin: Bool
    public var stdout: Bool
    public var stderr: Bool

    public init(container: String, tty: Bool, stdin: Bool, stdout: Bool, stderr: Bool) {
        self.container = container
        self.tty = tty
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
    }
}

/// A terminal's size in characters.
public struct TerminalSize: Sendable, Equatable {
    public var columns: UInt16
    public var rows: UInt16

    public init(columns: UInt16, rows: UInt16) {
        self.columns = columns
        self.rows = rows
    }
}

/// The streams of a command as the far end gives them; `nil` for those that are not wanted.
public struct CommandStreams: Sendable {
    /// The next bytes, `nil` at the end.
    public var stdin: (@Sendable () async throws -> [UInt8]?)?
    /// Returns when there is room for more.
    public var stdout: (@Sendable ([UInt8]) async throws -> Void)?
    public var stderr: (@Sendable ([UInt8]) async throws -> Void)?
    /// The next size, `nil` when there will be none.
    public var sizes: (@Sendable () async throws -> TerminalSize?)?

    public init(
        stdin: (@Sendable () async throws -> [UInt8]?)? = nil,
        stdout: (@Sendable ([UInt8]) async throws -> Void)? = nil,
        stderr: (@Sendable ([UInt8]) async throws -> Void)? = nil,
        sizes: (@Sendable () async throws -> TerminalSize?)? = nil
    ) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.sizes = sizes
    }
}

/// What carries the requests out: an engine.
///
/// A call is cancelled when its client is gone.
public protocol StreamingRuntime: Sendable {
    /// - Returns: the command's exit code.
    func exec(_ request: CommandRequest, command: [String], streams: CommandStreams) async throws -> Int32

    /// Returns when the container's output has ended.
    func attach(_ request: CommandRequest, streams: CommandStreams) async throws

    /// Connects to a port inside of the pod, and moves bytes until the pod's side has ended.
    func portForward(
        sandbox: String, port: UInt16, from input: @escaping @Sendable () async throws -> [UInt8]?,
        to output: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws
}
