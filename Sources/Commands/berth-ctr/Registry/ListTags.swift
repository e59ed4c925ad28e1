internal import ArgumentParser
private import Images
private import OCISpec

struct ListTags: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tags", abstract: "List the tags of a repository")

    @OptionGroup var registry: RegistryOptions

    @Argument(help: "Repository, such as registry.example/app")
    var repository: String

    func run() async throws {
        let reference = try ImageReference(repository)
        for tag in try await registry.with(reference, { try await $0.tags(of: reference, credentials: $1) }) {
            Output.line(tag)
        }
    }
}
