internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct PodStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "statsp", abstract: "List pod statistics",
        discussion: """
            EXAMPLES:
              berth-crictl statsp
              berth-crictl statsp --label app=web -o json
              berth-crictl statsp -w                # redrawn until Ctrl-C
            """)

    @Option(help: "Filter by pod id")
    var id: String?

    @Option(help: ArgumentHelp("Filter by key=value label", valueName: "key=value"))
    var label: [String] = []

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.table

    @Option(name: [.short, .long], help: "Sample duration for CPU usage in seconds")
    var seconds = 1

    @Flag(name: [.short, .long], help: "Watch pod resources")
    var watch = false

    @Argument(help: ArgumentHelp("Pod ID", valueName: "id"))
    var pod: String?

    func run() async throws {
        try await Connection.open { cri in
            var filter = Runtime_V1_PodSandboxStatsFilter()
            if let prefix = id ?? pod { filter.id = try await cri.podID(prefix) }
            filter.labelSelector = try ListFilters.labels(label)
            if output != .table { return try Output.message(try await cri.podStats(filter), output) }
            try await Sampling.show(watch: watch) { try await table(cri, filter) }
        }
    }

    private func table(_ cri: Connection, _ filter: Runtime_V1_PodSandboxStatsFilter) async throws -> TextTable {
        let before = try await cri.podStats(filter).stats
        try await Task.sleep(for: .seconds(max(seconds, 0)))
        let after = try await cri.podStats(filter).stats
        let old = Dictionary(before.map { ($0.attributes.id, $0.linux.cpu) }, uniquingKeysWith: { $1 })
        var table = TextTable(.crictl, header: ["POD", "POD ID", "CPU %", "MEM"])
        for pod in after {
            let memory = pod.linux.memory.workingSetBytes.value
            guard let cpu = old[pod.attributes.id],
                pod.linux.cpu.usageCoreNanoSeconds.value != 0 || memory != 0
            else { continue }
            table.add([
                pod.attributes.metadata.name, ListFilters.truncated(pod.attributes.id),
                Sampling.share(from: cpu, to: pod.linux.cpu), HumanText.decimalSize(memory),
            ])
        }
        return table
    }
}

extension Connection {
    fileprivate func podStats(
        _ filter: Runtime_V1_PodSandboxStatsFilter
    ) async throws -> Runtime_V1_ListPodSandboxStatsResponse {
        var response = try await doing("pod statistics") {
            try await runtime.listPodSandboxStats(.with { $0.filter = filter }, options: Session.current.asking)
        }
        response.stats.sort { $0.attributes.id < $1.attributes.id }
        return response
    }
}
