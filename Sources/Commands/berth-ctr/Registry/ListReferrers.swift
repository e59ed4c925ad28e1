internal import ArgumentParser
private import Images
private import OCISpec
private import Terminal

struct ListReferrers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "referrers", abstract: "List what refers to an image: signatures, bills of materials",
        aliases: ["ref"])

    @OptionGroup var registry: RegistryOptions

    @Option(help: ArgumentHelp("Only artifacts of this type", valueName: "type"))
    var artifactType: String?

    @Argument(help: "Reference")
    var reference: String

    func run() async throws {
        let reference = try ImageReference(reference).withDefaultTag
        let type = artifactType
        let found = try await registry.with(reference) {
            try await $0.referrers(of: reference, artifactType: type, credentials: $1)
        }
        for entry in found { Output.line("\(entry.digest) \(entry.size) \(entry.artifactType ?? "-")") }
    }
}
