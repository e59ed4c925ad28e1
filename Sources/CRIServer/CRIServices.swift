internal import CRIAPI
public import Engine
public import GRPCCore
public import Logging
public import Streaming

/// The CRI over an engine: to be registered on a server, with its interceptors.
public enum CRIServices {
    public static func all(engine: Engine, streaming: StreamingServer) -> [any RegistrableRPCService] {
        [RuntimeServer(engine: engine, streaming: streaming), ImageServer(engine: engine)]
    }

    /// Listens for the clients of Exec, Attach and PortForward; it is to be run beside the services.
    ///
    /// - Parameter port: 0 for any free one.
    public static func streaming(
        engine: Engine, address: String, port: Int, logger: Logger
    ) async throws -> StreamingServer {
        try await .listen(address: address, port: port, runtime: StreamRuntime(engine: engine), logger: logger)
    }

    /// To come after (inside) those of other services; they leave the calls of others alone.
    public static func interceptors(logger: Logger) -> [ConditionalInterceptor<any ServerInterceptor>] {
        let services: Set<ServiceDescriptor> = [
            Runtime_V1_RuntimeService.descriptor, Runtime_V1_ImageService.descriptor,
        ]
        return [
            .apply(RequestLog(logger: logger), to: .services(services)),
            .apply(ErrorMapping(), to: .services(services)),
        ]
    }
}
