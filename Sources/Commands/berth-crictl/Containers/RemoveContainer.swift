internal import ArgumentParser
internal import CRIAPI
private import Core
private import Foundation

struct RemoveContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove one or more containers",
        discussion: """
            EXAMPLES:
              berth-crictl rm 3f2a91
              berth-crictl rm -fa          # stop and remove every container
            """)

    @Flag(name: [.short, .long], help: "Force removal of the container, disregarding if running")
    var force = false

    @Flag(name: [.short, .long], help: "Preserve the container log file and its rotations")
    var keepLogs = false

    @Flag(name: [.short, .long], help: "Remove all containers")
    var all = false

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var containers: [String] = []

    func validate() throws {
        guard all != !containers.isEmpty else {
            throw ValidationError(
                all ? "name containers or use --all, not both" : "name a container or use --all")
        }
    }

    func run() async throws {
        try await Connection.open { cri in
            let ids = all ? try await cri.listContainers(.init()).map(\.id) : containers
            if ids.isEmpty { Output.line("No containers to remove") }
            try await forEach(ids) { prefix in
                let id = try await cri.containerID(prefix)
                let status = try await cri.containerStatus(id).status
                if status.state == .containerRunning {
                    guard force else {
                        throw BerthError(
                            .failedPrecondition, "container \(id) is running", advice: "stop it first or use --force")
                    }
                    try await cri.stopContainer(id, timeout: 0)
                }
                try await doing("remove container \(id)") {
                    _ = try await cri.runtime.removeContainer(
                        .with { $0.containerID = id }, options: Session.current.acting)
                }
                Output.line(id)
                if !keepLogs { removeLogs(status.logPath) }
            }
        }
    }

    /// The log and its rotations `LOG.TIME`; a runtime may have removed them with the container.
    private func removeLogs(_ path: String) {
        guard path.hasPrefix("/") else { return }
        let log = URL(fileURLWithPath: path)
        let folder = log.deletingLastPathComponent()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names where name == log.lastPathComponent || name.hasPrefix(log.lastPathComponent + ".") {
            do {
                try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
            } catch {
                Output.warn("log \(folder.path)/\(name) could not be removed: \(error.localizedDescription)")
            }
        }
    }
}
