internal import ArgumentParser
internal import CRIAPI
private import Terminal

struct RunPod: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runp", abstract: "Run a new pod",
        discussion: """
            Prints the pod's ID.

            EXAMPLE:
              cat > pod.yaml <<END
              metadata: {name: web, namespace: default, uid: web-1}
              log_directory: /var/log/pods/web
              linux: {}
              END
              berth-crictl runp pod.yaml
            """)

    @Option(name: [.short, .long], help: "Runtime handler to use; which there are is the runtime's choice")
    var runtime = ""

    @Option(name: [.customShort("T"), .long], help: "Time after which the request is cancelled (default: none)")
    var cancelTimeout: String?

    @Argument(help: ArgumentHelp("Pod configuration, - for standard input", valueName: "pod-config.[json|yaml]"))
    var config: String

    func run() async throws {
        let pod = try ConfigurationFile.pod(at: config)
        let limit = try cancelTimeout.map { try DurationText.parse($0, field: "--cancel-timeout") }
        Output.line(try await Connection.open { try await $0.runPod(pod, handler: runtime, within: limit) })
    }
}

extension Connection {
    func runPod(_ config: Runtime_V1_PodSandboxConfig, handler: String, within limit: Duration?) async throws -> String
    {
        try await doing("run pod \(config.metadata.namespace)/\(config.metadata.name)") {
            try await runtime.runPodSandbox(
                .with {
                    $0.config = config
                    $0.runtimeHandler = handler
                }, options: Session.current.acting(within: limit)
            ).podSandboxID
        }
    }
}
