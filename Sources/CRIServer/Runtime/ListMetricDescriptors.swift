public import CRIAPI
internal import Engine
public import GRPCCore

extension RuntimeServer {
    public func listMetricDescriptors(
        request: Runtime_V1_ListMetricDescriptorsRequest, context: ServerContext
    ) async throws -> Runtime_V1_ListMetricDescriptorsResponse {
        Runtime_V1_ListMetricDescriptorsResponse.with {
            $0.descriptors = Engine.metricDescriptors.map { descriptor in
                Runtime_V1_MetricDescriptor.with {
                    $0.name = descriptor.name
                    $0.help = descriptor.help
                    $0.labelKeys = descriptor.labels
                }
            }
        }
    }
}
