internal import ArgumentParser
private import Images
private import OCISpec

struct ResolveReference: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve", abstract: "Print what a reference stands for: digest, size and media type")

    @OptionGroup var registry: RegistryOptions

    @Argument(help: "Reference")
    var reference: String

    func run() async throws {
        let reference = try ImageReference(reference).withDefaultTag
        let target = try await registry.with(reference) { try await $0.resolve(reference, credentials: $1) }
        Output.line("\(target.digest) \(target.size) \(target.mediaType)")
    }
}
