internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct InspectPod: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspectp", abstract: "Display the status of one or more pods",
        discussion: """
            EXAMPLES:
              berth-crictl inspectp 5f1c2a
              berth-crictl inspectp --name web -o yaml
            """)

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.json

    @Flag(name: [.short, .long], help: "Do not show verbose information")
    var quiet = false

    @Option(help: "Filter by pod name regular expression pattern")
    var name: String?

    @Option(help: "Filter by pod namespace regular expression pattern")
    var namespace: String?

    @Option(name: [.short, .long], help: "Filter by pod state: ready|notready")
    var state: String?

    @Option(help: ArgumentHelp("Filter by key=value label", valueName: "key=value"))
    var label: [String] = []

    @Flag(name: [.short, .long], help: "Show the most recently created pod")
    var latest = false

    @Option(name: [.customShort("n"), .long], help: "Show last n recently created pods. 0 for unlimited")
    var last: Int?

    @Argument(
        help: ArgumentHelp(
            "Pod ID or the beginning of one; all that pass the filters if there is none", valueName: "pod-id"))
    var pods: [String] = []

    func run() async throws {
        let responses = try await Connection.open { cri in
            var ids: [String] = []
            for pod in pods { ids.append(try await cri.podID(pod)) }
            if pods.isEmpty {
                ids = try await PodQuery(
                    name: name, namespace: namespace, state: state, labels: label, latest: latest, last: last
                ).list(cri).map(\.id)
            }
            guard !ids.isEmpty else { throw BerthError(.notFound, "no pod passes the filters") }
            var responses: [Runtime_V1_PodSandboxStatusResponse] = []
            for id in ids { responses.append(try await cri.podStatus(id, verbose: !quiet)) }
            return responses
        }
        if output == .table { return responses.forEach { Self.describe($0.status, info: $0.info) } }
        try Output.statuses(
            try responses.map {
                var status = try MessageJSON.valueWithNulls(of: $0.status)
                let created = Timestamp(nanosecondsSince1970: $0.status.createdAt).rfc3339(in: .local)
                status["createdAt"] = .string(created)
                return StatusDocument(status: status, info: $0.info)
            }, output)
    }

    private static func describe(_ status: Runtime_V1_PodSandboxStatus, info: [String: String]) {
        Output.line("ID: \(status.id)")
        if !status.metadata.name.isEmpty { Output.line("Name: \(status.metadata.name)") }
        if !status.metadata.uid.isEmpty { Output.line("UID: \(status.metadata.uid)") }
        if !status.metadata.namespace.isEmpty { Output.line("Namespace: \(status.metadata.namespace)") }
        Output.line("Attempt: \(status.metadata.attempt)")
        Output.line("Status: \(status.state == .sandboxReady ? "SANDBOX_READY" : "SANDBOX_NOTREADY")")
        Output.line("Created: \(Timestamp(nanosecondsSince1970: status.createdAt).rfc3339(in: .local))")
        if status.hasNetwork {
            Output.line("IP Addresses: \(status.network.ip)")
            status.network.additionalIps.forEach { Output.line("Additional IP: \($0.ip)") }
        }
        Output.pairs("Labels", status.labels)
        Output.pairs("Annotations", status.annotations)
        if !info.isEmpty { Output.line("Info: \(info)") }
    }
}
