/// A process's stdio at its far end; `nil` for what is not wanted.
///
/// `output` and `error` return when there is room for more, which is all the flow control there is: a process whose
/// reader is slow waits in write(2).
public struct ProcessStreams: Sendable {
    /// The next bytes; `nil` at the end.
    public var input: (@Sendable () async throws -> [UInt8]?)?
    public var output: (@Sendable ([UInt8]) async throws -> Void)?
    public var error: (@Sendable ([UInt8]) async throws -> Void)?
    /// The terminal's next size in characters; `nil` when there will be none.
    public var sizes: (@Sendable () async throws -> (columns: UInt32, rows: UInt32)?)?

    public init(
        input: (@Sendable () async throws -> [UInt8]?)? = nil,
        output: (@Sendable ([UInt8]) async throws -> Void)? = nil,
        error: (@Sendable ([UInt8]) async throws -> Void)? = nil,
        sizes: (@Sendable () async throws -> (columns: UInt32, rows: UInt32)?)? = nil
    ) {
        self.input = input
        self.output = output
        self.error = error
        self.sizes = sizes
    }
}
