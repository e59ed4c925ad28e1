internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

/// The pods that a command line selects; shared by `pods` and `inspectp`.
struct PodQuery: Sendable {
    var id: String?
    var name: String?
    var namespace: String?
    var state: String?
    var labels: [String] = []
    var latest = false
    var last: Int?

    /// Newest first.
    func list(_ cri: Connection) async throws -> [Runtime_V1_PodSandbox] {
        let nameMatches = try ListFilters.pattern(name, field: "--name")
        let namespaceMatches = try ListFilters.pattern(namespace, field: "--namespace")
        var filter = Runtime_V1_PodSandboxFilter()
        if let id { filter.id = try await cri.podID(id) }
        filter.labelSelector = try ListFilters.labels(labels)
        if let state { filter.state.state = try Self.state(state) }
        let pods = try await cri.listPods(filter)
            .filter { nameMatches($0.metadata.name) && namespaceMatches($0.metadata.namespace) }
            .sorted { $0.createdAt > $1.createdAt }
        return Array(pods.prefix(ListFilters.count(of: pods.count, latest: latest, last: last)))
    }

    private static func state(_ text: String) throws -> Runtime_V1_PodSandboxState {
        switch text.lowercased() {
        case "ready": .sandboxReady
        case "notready": .sandboxNotready
        default: throw BerthError.invalid(field: "--state", value: text, rule: "must be ready or notready")
        }
    }
}

struct ListPods: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pods", abstract: "List pods",
        discussion: """
            EXAMPLES:
              berth-crictl pods
              berth-crictl pods --name '^web' --state ready
              berth-crictl pods --label app=web -o json
            """)

    @Option(help: "Filter by pod id")
    var id: String?

    @Option(help: "Filter by pod name regular expression pattern")
    var name: String?

    @Option(help: "Filter by pod namespace regular expression pattern")
    var namespace: String?

    @Option(name: [.short, .long], help: "Filter by pod state: ready|notready")
    var state: String?

    @Option(help: ArgumentHelp("Filter by key=value label", valueName: "key=value"))
    var label: [String] = []

    @Flag(name: [.short, .long], help: "Show verbose info for pods")
    var verbose = false

    @Flag(name: [.short, .long], help: "List only pod IDs")
    var quiet = false

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.table

    @Flag(name: [.short, .long], help: "Show the most recently created pod")
    var latest = false

    @Option(name: [.customShort("n"), .long], help: "Show last n recently created pods. 0 for unlimited")
    var last: Int?

    @Flag(help: "Show output without truncating the ID")
    var noTrunc = false

    func run() async throws {
        let query = PodQuery(
            id: id, name: name, namespace: namespace, state: state, labels: label, latest: latest, last: last)
        let pods = try await Connection.open { try await query.list($0) }
        if output != .table {
            return try Output.message(Runtime_V1_ListPodSandboxResponse.with { $0.items = pods }, output)
        }
        if quiet { return pods.forEach { Output.line($0.id) } }
        if verbose { return pods.forEach(Self.describe) }
        var table = TextTable(
            .crictl, header: ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"])
        for pod in pods {
            table.add([
                noTrunc ? pod.id : ListFilters.truncated(pod.id), HumanText.age(ofNanoseconds: pod.createdAt),
                pod.state.word, pod.metadata.name, pod.metadata.namespace, "\(pod.metadata.attempt)",
                Self.handler(pod),
            ])
        }
        Output.table(table)
    }

    private static func handler(_ pod: Runtime_V1_PodSandbox) -> String {
        pod.runtimeHandler.isEmpty ? "(default)" : pod.runtimeHandler
    }

    private static func describe(_ pod: Runtime_V1_PodSandbox) {
        Output.line("ID: \(pod.id)")
        if !pod.metadata.name.isEmpty { Output.line("Name: \(pod.metadata.name)") }
        if !pod.metadata.uid.isEmpty { Output.line("UID: \(pod.metadata.uid)") }
        if !pod.metadata.namespace.isEmpty { Output.line("Namespace: \(pod.metadata.namespace)") }
        if pod.metadata.attempt != 0 { Output.line("Attempt: \(pod.metadata.attempt)") }
        Output.line("Status: \(pod.state.word)")
        Output.line("Created: \(Timestamp(nanosecondsSince1970: pod.createdAt).rfc3339(in: .local))")
        Output.pairs("Labels", pod.labels)
        Output.pairs("Annotations", pod.annotations)
        Output.line("Runtime: \(handler(pod))")
        Output.line()
    }
}

extension Runtime_V1_PodSandboxState {
    var word: String {
        switch self {
        case .sandboxReady: "Ready"
        case .sandboxNotready: "NotReady"
        case .UNRECOGNIZED(let number): "Unknown(\(number))"
        }
    }
}
