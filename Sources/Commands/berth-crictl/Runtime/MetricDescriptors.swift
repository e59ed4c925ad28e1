internal import ArgumentParser
private import CRIAPI

struct MetricDescriptors: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metricdescs", abstract: "List the metrics that the runtime has for pods")

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml")
    var output = OutputFormat.json

    func run() async throws {
        let descriptors = try await Connection.open { cri in
            try await doing("metric descriptors") {
                try await cri.runtime.listMetricDescriptors(.init(), options: Session.current.asking)
            }
        }
        try Output.message(descriptors, output)
    }
}
