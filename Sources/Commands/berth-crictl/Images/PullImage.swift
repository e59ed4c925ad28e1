internal import ArgumentParser
internal import CRIAPI
private import Core
private import Foundation
private import Terminal

/// How to authenticate at a registry, and how long a pull may take.
struct RegistryOptions: ParsableArguments {
    @Option(help: ArgumentHelp("User and password for the registry, or CRICTL_CREDS", valueName: "username[:password]"))
    var creds: String?

    @Option(
        help: ArgumentHelp(
            "Base64 encoded 'USERNAME[:PASSWORD]' for the registry, or CRICTL_AUTH", valueName: "auth-string"))
    var auth: String?

    @Option(help: "Maximum time to be used for pulling the image, disabled if set to 0s, or CRICTL_PULL_TIMEOUT")
    var pullTimeout: String?

    func authentication() throws -> Runtime_V1_AuthConfig? {
        let environment = ProcessInfo.processInfo.environment
        let creds = creds ?? environment["CRICTL_CREDS"]
        let auth = auth ?? environment["CRICTL_AUTH"]
        if creds != nil && auth != nil { throw BerthError(.invalidArgument, "--creds and --auth exclude each other") }
        if let creds {
            let pair = try Credentials(parsing: creds, field: "--creds")
            return .with {
                $0.username = pair.username
                $0.password = pair.password
            }
        }
        return auth.map { auth in .with { $0.auth = auth } }
    }

    func limit() throws -> Duration? {
        let text = pullTimeout ?? ProcessInfo.processInfo.environment["CRICTL_PULL_TIMEOUT"]
        return try text.map { try DurationText.parse($0, field: "--pull-timeout") }
    }
}

struct PullImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Pull an image from a registry",
        discussion: """
            CRI tells nothing of a pull's progress. Berth does so by events: on a terminal there is a bar for each layer; with
            other runtimes it is the time that has passed.

            EXAMPLES:
              berth-crictl pull docker.io/library/nginx:1
              berth-crictl pull --creds me:secret registry.example/app:2
            """)

    @Option(help: ArgumentHelp("Pod for which the image is pulled", valueName: "pod-config.[json|yaml]"))
    var podConfig: String?

    @Option(
        name: [.short, .long], help: ArgumentHelp("Annotation to be set on the pulled image", valueName: "key=value"))
    var annotation: [String] = []

    @OptionGroup var registry: RegistryOptions

    @Argument(help: ArgumentHelp("Image reference", valueName: "name[:tag|@digest]"))
    var image: String

    func run() async throws {
        let request = try Runtime_V1_PullImageRequest.with {
            $0.image.image = image
            $0.image.annotations = try ListFilters.labels(annotation, field: "--annotation")
            if let podConfig { $0.sandboxConfig = try ConfigurationFile.pod(at: podConfig) }
            if let auth = try registry.authentication() { $0.auth = auth }
        }
        let limit = try registry.limit()
        let reference = try await Connection.open { try await $0.pullImage(request, within: limit) }
        Output.line("Image is up to date for \(reference)")
    }
}

extension Connection {
    func pullImage(_ request: Runtime_V1_PullImageRequest, within limit: Duration?) async throws -> String {
        let pull: @Sendable () async throws -> String = {
            try await doing("pull image \(request.image.image)") {
                try await images.pullImage(request, options: Session.current.acting(within: limit)).imageRef
            }
        }
        guard TerminalOutput.standardError.isRich else { return try await pull() }
        return try await PullBars(image: request.image.image, events: events).show(pull)
    }
}
