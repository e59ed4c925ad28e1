internal import ArgumentParser
private import CRIAPI

struct Version: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Display runtime version information",
        discussion: """
            EXAMPLE:
              berth-crictl version
            """)

    func run() async throws {
        let version = try await Connection.open { cri in
            try await cri.runtime.version(.with { $0.version = "v1" }, options: Session.current.asking)
        }
        Output.line("Version:  \(version.version)")
        Output.line("RuntimeName:  \(version.runtimeName)")
        Output.line("RuntimeVersion:  \(version.runtimeVersion)")
        Output.line("RuntimeApiVersion:  \(version.runtimeApiVersion)")
    }
}
