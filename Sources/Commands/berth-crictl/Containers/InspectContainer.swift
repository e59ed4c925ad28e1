internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct InspectContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Display the status of one or more containers",
        discussion: """
            EXAMPLES:
              berth-crictl inspect 3f2a91
              berth-crictl inspect --name web -o yaml
              berth-crictl inspect -q -o table 3f2a91
            """)

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.json

    @Flag(name: [.short, .long], help: "Do not show verbose information")
    var quiet = false

    @Option(help: "Filter by container name regular expression pattern")
    var name: String?

    @Option(help: "Filter by pod namespace regular expression pattern")
    var namespace: String?

    @Option(name: [.short, .long], help: "Filter by pod id")
    var pod: String?

    @Option(help: "Filter by container image")
    var image: String?

    @Option(name: [.short, .long], help: "Filter by container state: created|running|exited|unknown")
    var state: String?

    @Option(help: ArgumentHelp("Filter by key=value label", valueName: "key=value"))
    var label: [String] = []

    @Flag(name: [.short, .long], help: "Show the most recently created container (includes all states)")
    var latest = false

    @Option(
        name: [.customShort("n"), .long],
        help: "Show last n recently created containers (includes all states). 0 for unlimited")
    var last: Int?

    @Flag(name: [.short, .long], help: "Show all containers")
    var all = false

    @Argument(
        help: ArgumentHelp(
            "Container ID or the beginning of one; all that pass the filters if there is none",
            valueName: "container-id"))
    var containers: [String] = []

    func run() async throws {
        let query = ContainerQuery(
            name: name, namespace: namespace, pod: pod, image: image, state: state, labels: label, all: all,
            latest: latest, last: last)
        let responses = try await Connection.open { cri in
            var ids: [String] = []
            for container in containers { ids.append(try await cri.containerID(container)) }
            if containers.isEmpty { ids = try await query.list(cri).map(\.id) }
            guard !ids.isEmpty else { throw BerthError(.notFound, "no container passes the filters") }
            var responses: [Runtime_V1_ContainerStatusResponse] = []
            for id in ids { responses.append(try await cri.containerStatus(id, verbose: !quiet)) }
            return responses
        }
        if output == .table { return responses.forEach { Self.describe($0.status, info: $0.info) } }
        try Output.statuses(
            try responses.map { StatusDocument(status: try Self.document($0.status), info: $0.info) }, output)
    }

    /// The status with moments in words; those that have not come are Go's zero time, as crictl prints them.
    private static func document(_ status: Runtime_V1_ContainerStatus) throws -> JSONValue {
        var value = try MessageJSON.valueWithNulls(of: status)
        func moment(_ nanoseconds: Int64, _ hasCome: Bool) -> JSONValue {
            guard hasCome else { return .string("0001-01-01T00:00:00Z") }
            return .string(Timestamp(nanosecondsSince1970: nanoseconds).rfc3339(in: .local))
        }
        value["createdAt"] = moment(status.createdAt, true)
        value["startedAt"] = moment(status.startedAt, status.state != .containerCreated)
        let hasFinished =
            status.state == .containerExited || (status.state == .containerUnknown && status.finishedAt > 0)
        value["finishedAt"] = moment(status.finishedAt, hasFinished)
        return value
    }

    private static func describe(_ status: Runtime_V1_ContainerStatus, info: [String: String]) {
        Output.line("ID: \(status.id)")
        if !status.metadata.name.isEmpty { Output.line("Name: \(status.metadata.name)") }
        if status.metadata.attempt != 0 { Output.line("Attempt: \(status.metadata.attempt)") }
        Output.line("State: CONTAINER_\(status.state.word.uppercased())")
        Output.line("Created: \(HumanText.age(ofNanoseconds: status.createdAt))")
        if status.state != .containerCreated {
            Output.line("Started: \(HumanText.age(ofNanoseconds: status.startedAt))")
        }
        if status.state == .containerExited {
            if status.finishedAt > 0 { Output.line("Finished: \(HumanText.age(ofNanoseconds: status.finishedAt))") }
            Output.line("Exit Code: \(status.exitCode)")
        }
        Output.pairs("Labels", status.labels)
        Output.pairs("Annotations", status.annotations)
        if !info.isEmpty { Output.line("Info: \(info)") }
    }
}
