internal import ArgumentParser

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Print or check a configuration file.",
        subcommands: [Default.self, Check.self])

    struct Default: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "default", abstract: "Print the default configuration with every key explained.")

        func run() {
            print(DefaultConfiguration.text, terminator: "")
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Check a configuration file: exit status 0 if a daemon would start with it."
        )

        @Argument(help: "The file. Without it /etc/berth/config.toml.")
        var file: String = DaemonConfiguration.defaultPath

        func run() throws {
            do {
                try DaemonConfiguration.load(file).validate()
                print("\(file) is good")
            } catch {
                FileHandleText.error("\(error)")
                throw ExitCode(1)
            }
        }
    }
}
