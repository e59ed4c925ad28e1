internal import CRIAPI
public import Engine
public import GRPCCore
public import Logging

/// The CRI over an engine: to be registered on a server, with its interceptors.
public enum CRIServices {
    public static func all(engine: Engine) -> [any RegistrableRPCService] {
        [RuntimeServer(engine: engine), ImageServer(engine: engine)]
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
