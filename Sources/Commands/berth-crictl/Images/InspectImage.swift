internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct InspectImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspecti", abstract: "Return the status of one or more images",
        discussion: """
            EXAMPLES:
              berth-crictl inspecti docker.io/library/busybox:local
              berth-crictl inspecti -o table -q 67dd8b95
            """)

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.json

    @Flag(name: [.short, .long], help: "Do not show verbose information")
    var quiet = false

    @Option(help: "Filter by image name")
    var name: String?

    @Option(name: [.short, .long], help: "Filter output based on provided conditions, as of images")
    var filter: [String] = []

    @Argument(
        help: ArgumentHelp("Image ID or reference; all that pass the filters if there is none", valueName: "image-id"))
    var images: [String] = []

    func run() async throws {
        let responses = try await Connection.open { cri in
            let names = images.isEmpty ? try await cri.listImages(name, filters: filter).map(\.id) : images
            guard !names.isEmpty else { throw BerthError(.notFound, "no image passes the filters") }
            var responses: [Runtime_V1_ImageStatusResponse] = []
            for name in names {
                let response = try await cri.imageStatus(name, verbose: !quiet)
                guard response.hasImage else { throw BerthError.notFound("image", name) }
                responses.append(response)
            }
            return responses
        }
        if output == .table { return responses.forEach { Self.describe($0.image, info: $0.info) } }
        try Output.statuses(
            try responses.map { StatusDocument(status: try MessageJSON.value(of: $0.image), info: $0.info) }, output)
    }

    private static func describe(_ image: Runtime_V1_Image, info: [String: String]) {
        Output.line("ID: \(image.id)")
        image.repoTags.forEach { Output.line("Tag: \($0)") }
        image.repoDigests.forEach { Output.line("Digest: \($0)") }
        Output.line("Size: \(HumanText.decimalSize(image.size, precision: 3))")
        if !info.isEmpty { Output.line("Info: \(info)") }
    }
}
