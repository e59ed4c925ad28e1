internal import ArgumentParser
internal import Engine

@main
struct Berthd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "berthd",
        abstract: "The Berth daemon: runs pods and containers for a kubelet, crictl or ctr.",
        discussion: """
            Examples:
              berthd                                          with /etc/berth/config.toml, if there is one
              berthd --root /tmp/b/root --state /tmp/b/run    a second daemon beside the first
              berthd config default > /etc/berth/config.toml  a configuration to start from
              berthd config check /etc/berth/config.toml      what is wrong with it
              berthd verify                                   whether any stored blob is damaged
            """,
        version: "berthd \(Release.version)",
        subcommands: [ServeCommand.self, ConfigCommand.self, VerifyCommand.self],
        defaultSubcommand: ServeCommand.self)
}
