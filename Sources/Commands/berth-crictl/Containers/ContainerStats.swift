internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct ContainerStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "List container(s) resource usage statistics",
        discussion: """
            EXAMPLES:
              berth-crictl stats
              berth-crictl stats -o json 3f2a91
              berth-crictl stats -w                 # redrawn until Ctrl-C
            """)

    @Flag(name: [.short, .long], help: "Show all containers (default shows just running)")
    var all = false

    @Option(help: "Filter by container id")
    var id: String?

    @Option(name: [.short, .long], help: "Filter by pod id")
    var pod: String?

    @Option(help: ArgumentHelp("Filter by key=value label", valueName: "key=value"))
    var label: [String] = []

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.table

    @Option(name: [.short, .long], help: "Sample duration for CPU usage in seconds")
    var seconds = 1

    @Flag(name: [.short, .long], help: "Watch container resources")
    var watch = false

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "id"))
    var container: String?

    func run() async throws {
        try await Connection.open { cri in
            var filter = Runtime_V1_ContainerStatsFilter()
            if let prefix = id ?? container { filter.id = try await cri.containerID(prefix) }
            if let pod { filter.podSandboxID = try await cri.podID(pod) }
            filter.labelSelector = try ListFilters.labels(label)
            if output != .table { return try Output.message(try await cri.containerStats(filter), output) }
            try await Sampling.show(watch: watch) { try await table(cri, filter) }
        }
    }

    private func table(_ cri: Connection, _ filter: Runtime_V1_ContainerStatsFilter) async throws -> TextTable {
        let before = try await cri.containerStats(filter).stats
        try await Task.sleep(for: .seconds(max(seconds, 0)))
        let after = try await cri.containerStats(filter).stats
        let old = Dictionary(before.map { ($0.attributes.id, $0.cpu) }, uniquingKeysWith: { $1 })
        var table = TextTable(.crictl, header: ["CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES", "SWAP"])
        for container in after {
            let memory = container.memory.workingSetBytes.value
            let isIdle = container.cpu.usageCoreNanoSeconds.value == 0 && memory == 0
            guard let cpu = old[container.attributes.id], all || !isIdle else { continue }
            table.add([
                ListFilters.truncated(container.attributes.id), container.attributes.metadata.name,
                Sampling.share(from: cpu, to: container.cpu), HumanText.decimalSize(memory),
                HumanText.decimalSize(container.writableLayer.usedBytes.value),
                "\(container.writableLayer.inodesUsed.value)",
                HumanText.decimalSize(container.swap.swapUsageBytes.value),
            ])
        }
        return table
    }
}

extension Connection {
    fileprivate func containerStats(
        _ filter: Runtime_V1_ContainerStatsFilter
    ) async throws -> Runtime_V1_ListContainerStatsResponse {
        var response = try await doing("container statistics") {
            try await runtime.listContainerStats(.with { $0.filter = filter }, options: Session.current.asking)
        }
        response.stats.sort { $0.attributes.id < $1.attributes.id }
        return response
    }
}
