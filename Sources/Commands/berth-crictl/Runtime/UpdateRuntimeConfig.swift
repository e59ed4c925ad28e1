internal import ArgumentParser
private import CRIAPI

struct UpdateRuntimeConfig: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update-runtime-config", abstract: "Update the runtime configuration",
        discussion: """
            EXAMPLE:
              berth-crictl update-runtime-config --pod-cidr 10.88.0.0/16
            """)

    @Option(
        help: ArgumentHelp("Addresses for pods; empty: those of the runtime's own configuration", valueName: "cidr"))
    var podCidr = ""

    func run() async throws {
        try await Connection.open { cri in
            try await doing("update the runtime configuration") {
                _ = try await cri.runtime.updateRuntimeConfig(
                    .with { $0.runtimeConfig.networkConfig.podCidr = podCidr }, options: Session.current.asking)
            }
        }
    }
}
