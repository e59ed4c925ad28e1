internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

/// Whether and how the image is pulled first; of `create` and `run`.
struct PullChoice: ParsableArguments {
    @Flag(help: "Do not pull the image first")
    var noPull = false

    @Flag(help: "Pull the image first")
    var withPull = false

    @OptionGroup var registry: RegistryOptions

    @Option(name: [.customShort("T"), .long], help: "Time after which the request is cancelled (default: none)")
    var cancelTimeout: String?

    func validate() throws {
        if noPull && withPull { throw ValidationError("--no-pull and --with-pull exclude each other") }
    }

    func limit() throws -> Duration? {
        try cancelTimeout.map { try DurationText.parse($0, field: "--cancel-timeout") }
    }

    func pulls(byDefault: Bool) -> Bool { withPull || (byDefault && !noPull) }
}

struct CreateContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a new container",
        discussion: """
            Prints the container's ID.

            EXAMPLE:
              cat > web.yaml <<END
              metadata: {name: web}
              image: {image: docker.io/library/busybox:local}
              command: [httpd, -f, -p, "8080"]
              log_path: web.log
              END
              berth-crictl create 5f1c2a web.yaml pod.yaml
            """)

    @OptionGroup var pull: PullChoice

    @Argument(help: ArgumentHelp("Pod ID or the beginning of one", valueName: "pod"))
    var pod: String

    @Argument(help: ArgumentHelp("Container configuration", valueName: "container-config.[json|yaml]"))
    var containerConfig: String

    @Argument(help: ArgumentHelp("The configuration that the pod was run with", valueName: "pod-config.[json|yaml]"))
    var podConfig: String

    func run() async throws {
        let config = try ConfigurationFile.container(at: containerConfig)
        let podConfig = try ConfigurationFile.pod(at: podConfig)
        Output.line(
            try await Connection.open { cri in
                let pod = try await cri.podID(pod)
                if pull.pulls(byDefault: Session.current.pullsOnCreate) {
                    try await cri.pullImages(of: config, podConfig, pull.registry)
                }
                return try await cri.createContainer(config, in: pod, podConfig, within: try pull.limit())
            })
    }
}

extension Connection {
    func createContainer(
        _ config: Runtime_V1_ContainerConfig, in pod: String, _ podConfig: Runtime_V1_PodSandboxConfig,
        within limit: Duration?
    ) async throws -> String {
        try await doing("create container \(config.metadata.name)") {
            try await runtime.createContainer(
                .with {
                    $0.podSandboxID = pod
                    $0.config = config
                    $0.sandboxConfig = podConfig
                }, options: Session.current.acting(within: limit)
            ).containerID
        }
    }

    /// The container's own image and those that it mounts.
    func pullImages(
        of config: Runtime_V1_ContainerConfig, _ podConfig: Runtime_V1_PodSandboxConfig, _ registry: RegistryOptions
    ) async throws {
        let names = [config.image.image] + config.mounts.map(\.image.image).filter { !$0.isEmpty }
        for name in names {
            _ = try await pullImage(
                .with {
                    $0.image.image = name
                    $0.image.annotations = config.image.annotations
                    $0.sandboxConfig = podConfig
                    if let auth = try registry.authentication() { $0.auth = auth }
                }, within: try registry.limit())
        }
    }
}
