internal import ArgumentParser
internal import CRIAPI

struct RunContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a new container inside a new pod",
        discussion: """
            Runs the pod, pulls the image, creates and starts the container, and prints the container's ID.

            EXAMPLES:
              berth-crictl run web.yaml pod.yaml
              berth-crictl run --no-pull web.yaml pod.yaml      # the image is there already
            """)

    @OptionGroup var pull: PullChoice

    @Option(name: [.short, .long], help: "Runtime handler to use; which there are is the runtime's choice")
    var runtime = ""

    @Argument(help: ArgumentHelp("Container configuration", valueName: "container-config.[json|yaml]"))
    var containerConfig: String

    @Argument(help: ArgumentHelp("Pod configuration", valueName: "pod-config.[json|yaml]"))
    var podConfig: String

    func run() async throws {
        let config = try ConfigurationFile.container(at: containerConfig)
        let podConfig = try ConfigurationFile.pod(at: podConfig)
        try await Connection.open { cri in
            let limit = try pull.limit()
            let pod = try await cri.runPod(podConfig, handler: runtime, within: nil)
            if pull.pulls(byDefault: Session.current.pullsOnRun) {
                try await cri.pullImages(of: config, podConfig, pull.registry)
            }
            let container = try await cri.createContainer(config, in: pod, podConfig, within: limit)
            try await cri.startContainer(container)
        }
    }
}
