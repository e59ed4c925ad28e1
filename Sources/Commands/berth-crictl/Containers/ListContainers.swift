internal import ArgumentParser
internal import CRIAPI
private import Terminal

struct ListContainers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List containers",
        discussion: """
            EXAMPLES:
              berth-crictl ps                       # those that run
              berth-crictl ps -a --pod 5f1c2a
              berth-crictl ps --name '^web$' -q
              berth-crictl ps --latest -o json
            """)

    @Flag(name: [.short, .long], help: "Show verbose information for containers")
    var verbose = false

    @Option(help: "Filter by container id")
    var id: String?

    @Option(help: "Filter by container name regular expression pattern")
    var name: String?

    @Option(name: [.short, .long], help: "Filter by pod id")
    var pod: String?

    @Option(help: "Filter by container image")
    var image: String?

    @Option(name: [.short, .long], help: "Filter by container state: created|running|exited|unknown")
    var state: String?

    @Option(help: ArgumentHelp("Filter by key=value label", valueName: "key=value"))
    var label: [String] = []

    @Flag(name: [.short, .long], help: "Only display container IDs")
    var quiet = false

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.table

    @Flag(name: [.short, .long], help: "Show all containers")
    var all = false

    @Flag(name: [.short, .long], help: "Show the most recently created container (includes all states)")
    var latest = false

    @Option(
        name: [.customShort("n"), .long],
        help: "Show last n recently created containers (includes all states). 0 for unlimited")
    var last: Int?

    @Flag(help: "Show output without truncating the ID")
    var noTrunc = false

    @Flag(name: [.customShort("r"), .long], help: "Show image path instead of image id")
    var resolveImagePath = false

    @Option(help: "Filter by pod namespace regular expression pattern")
    var namespace: String?

    func run() async throws {
        let query = ContainerQuery(
            id: id, name: name, namespace: namespace, pod: pod, image: image, state: state, labels: label, all: all,
            latest: latest, last: last)
        let (containers, paths) = try await Connection.open { cri in
            let containers = try await query.list(cri)
            var paths: [String: String] = [:]
            if resolveImagePath {
                for reference in Set(containers.map(\.image.image)) {
                    paths[reference] = try await cri.imageStatus(reference).image.repoTags.first
                }
            }
            return (containers, paths)
        }
        if output != .table {
            return try Output.message(Runtime_V1_ListContainersResponse.with { $0.containers = containers }, output)
        }
        if quiet { return containers.forEach { Output.line($0.id) } }
        if verbose { return containers.forEach(Self.describe) }
        var table = TextTable(
            .crictl,
            header: ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"])
        for container in containers {
            let reference = container.image.image
            let shown =
                paths[reference] ?? (noTrunc || !Self.isID(reference) ? reference : ListFilters.truncated(reference))
            table.add([
                noTrunc ? container.id : ListFilters.truncated(container.id), shown,
                HumanText.age(ofNanoseconds: container.createdAt), container.state.word, container.metadata.name,
                "\(container.metadata.attempt)",
                noTrunc ? container.podSandboxID : ListFilters.truncated(container.podSandboxID),
                container.podName, container.podNamespace,
            ])
        }
        Output.table(table)
    }

    /// A kubelet's containers name their image by its ID.
    private static func isID(_ reference: String) -> Bool { reference.hasPrefix("sha256:") }

    private static func describe(_ container: Runtime_V1_Container) {
        Output.line("ID: \(container.id)")
        Output.line("PodID: \(container.podSandboxID)")
        Output.line("Namespace: \(container.podNamespace)")
        if !container.metadata.name.isEmpty { Output.line("Name: \(container.metadata.name)") }
        Output.line("Attempt: \(container.metadata.attempt)")
        Output.line("State: \(container.state.word)")
        Output.line("Image: \(container.image.image)")
        Output.line("Created: \(HumanText.age(ofNanoseconds: container.createdAt))")
        Output.pairs("Labels", container.labels)
        Output.pairs("Annotations", container.annotations)
        Output.line()
    }
}
