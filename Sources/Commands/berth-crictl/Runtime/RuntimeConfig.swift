internal import ArgumentParser
private import CRIAPI
private import Terminal

struct RuntimeConfig: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runtime-config", abstract: "Retrieve the container runtime configuration",
        discussion: """
            EXAMPLE:
              berth-crictl runtime-config
            """)

    func run() async throws {
        let config = try await Connection.open { cri in
            try await cri.runtime.runtimeConfig(.init(), options: Session.current.asking)
        }
        guard config.hasLinux else { return }
        var table = TextTable(.init(minimumWidth: 10, padding: 3))
        let driver = try MessageJSON.value(of: config.linux)["cgroupDriver"]?.string ?? ""
        table.add(["cgroup driver:", driver])
        Output.table(table)
    }
}
