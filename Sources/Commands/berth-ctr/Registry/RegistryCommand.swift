internal import ArgumentParser

struct RegistryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry", abstract: "Look at what registries have, without a daemon",
        discussion: """
            EXAMPLES:
              berth-ctr registry tags registry.example:5000/app
              berth-ctr registry referrers registry.example:5000/app:2
              berth-ctr registry delete registry.example:5000/app@sha256:...
            """,
        subcommands: [ResolveReference.self, ListTags.self, ListReferrers.self, DeleteReference.self])
}
