internal import ArgumentParser
private import Images
private import OCISpec

struct DeleteReference: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a tag, or a manifest by digest with all of its tags")

    @OptionGroup var registry: RegistryOptions

    @Argument(help: "Reference with a tag or digest")
    var reference: String

    func run() async throws {
        let reference = try ImageReference(reference)
        try await registry.with(reference) { try await $0.delete(reference, credentials: $1) }
        Output.line("deleted \(reference)")
    }
}
