internal import ArgumentParser
internal import CRIAPI
private import Core

struct RemovePod: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rmp", abstract: "Remove one or more pods",
        discussion: """
            EXAMPLES:
              berth-crictl rmp 5f1c2a
              berth-crictl rmp -fa        # stop and remove every pod
            """)

    @Flag(name: [.short, .long], help: "Force removal of the pod sandbox, disregarding if running")
    var force = false

    @Flag(name: [.short, .long], help: "Remove all pods")
    var all = false

    @Argument(help: ArgumentHelp("Pod ID or the beginning of one", valueName: "pod-id"))
    var pods: [String] = []

    func validate() throws {
        guard all != !pods.isEmpty else {
            throw ValidationError(all ? "name pods or use --all, not both" : "name a pod or use --all")
        }
    }

    func run() async throws {
        try await Connection.open { cri in
            let ids = all ? try await cri.listPods(.init()).map(\.id) : pods
            if ids.isEmpty { Output.line("No pods to remove") }
            try await forEach(ids) { prefix in
                let id = try await cri.podID(prefix)
                if try await cri.podStatus(id).status.state == .sandboxReady {
                    guard force else {
                        throw BerthError(
                            .failedPrecondition, "pod \(id) is running", advice: "stop it first or use --force")
                    }
                    try await cri.stopPod(id)
                }
                try await doing("remove pod \(id)") {
                    _ = try await cri.runtime.removePodSandbox(
                        .with { $0.podSandboxID = id }, options: Session.current.acting)
                }
                Output.line("Removed sandbox \(id)")
            }
        }
    }
}
