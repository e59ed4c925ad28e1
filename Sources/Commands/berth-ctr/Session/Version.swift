internal import ArgumentParser
private import SwiftProtobuf

struct Version: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the client and server versions",
        discussion: """
            EXAMPLE:
              berth-ctr version
            """)

    func run() async throws {
        Output.line("Client:")
        Output.line("  Version:  \(Ctr.configuration.version.split(separator: " ").last ?? "")")
        Output.line()
        let version = try await Connection.open {
            try await $0.version.version(Google_Protobuf_Empty(), options: Session.current.callOptions)
        }
        Output.line("Server:")
        Output.line("  Version:  \(version.version)")
        Output.line("  Revision: \(version.revision)")
    }
}
