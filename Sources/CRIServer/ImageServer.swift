public import CRIAPI
public import Engine
internal import GRPCCore

/// CRI's ImageService. Each call has its own file in Images/.
public struct ImageServer: Runtime_V1_ImageService.SimpleServiceProtocol {
    let engine: Engine

    public init(engine: Engine) {
        self.engine = engine
    }
}
