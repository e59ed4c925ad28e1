internal import CRIAPI
public import Engine
public import GRPCCore
public import Logging

/// The CRI over an engine: to be registered on a server, with its interceptors.
public enum CRIServices {
    public static func all(engine: Engine) -> [any RegistrableRPCService] {
        [RuntimeServer(engine: engine), ImageServer(engine: engine)]
    }

    /// Leave the calls of other services on the same server alone.
    public static func interceptors(logger: Logger) -> [ConditionalInterceptor<any ServerInterceptor>] {
        let services: Set<ServiceDescriptor> = [
            Runtime_V1_RuntimeService.descriptor, Runtime_V1_ImageService.descriptor,
        ]
        return [.apply(ErrorMapping(), to: .services(services)), .apply(RequestLog(logger: logger), to: .services(services))]
    }
}
