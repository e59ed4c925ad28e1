public import CRIAPI
public import Engine
internal import GRPCCore
public import Streaming

/// CRI's RuntimeService. Each call has its own file in Runtime/: decode, call the engine, encode.
public struct RuntimeServer: Runtime_V1_RuntimeService.SimpleServiceProtocol {
    let engine: Engine
    let streaming: StreamingServer

    public init(engine: Engine, streaming: StreamingServer) {
        self.engine = engine
        self.streaming = streaming
    }

    /// Lists are streamed in messages of this many items, so that none comes near the 4 MiB that clients accept.
    static let itemsPerMessage = 100
}

extension Array {
    /// This array in pieces of at most `count` elements.
    func pieces(of count: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: self.count, by: count).map { self[$0..<Swift.min($0 + count, self.count)] }
    }
}
