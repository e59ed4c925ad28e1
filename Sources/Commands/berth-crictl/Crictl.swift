internal import ArgumentParser
private import Core
private import GRPCCore
private import Glibc
private import Terminal

struct Crictl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "berth-crictl",
        abstract: "Client for CRI, the interface between Kubernetes and container runtimes.",
        usage: "berth-crictl [global options] <verb> [options] [arguments]",
        discussion: """
            Works on the socket of any CRI v1 runtime.

            GLOBAL OPTIONS (before the verb):
            \(GlobalOptions.help)

            EXAMPLES:
              berth-crictl pods
              berth-crictl ps -a
              berth-crictl logs -f 3f2a91
              berth-crictl -r unix:///run/containerd/containerd.sock images
              echo 'runtime-endpoint: unix:///run/berth/berth.sock' > /etc/crictl.yaml
            """,
        version: "berth-crictl 0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "Pods:",
                subcommands: [
                    ListPods.self, RunPod.self, StopPod.self, RemovePod.self, InspectPod.self, PodStats.self,
                    PodMetrics.self, PortForward.self,
                ]),
            CommandGroup(
                name: "Containers:",
                subcommands: [
                    ListContainers.self, CreateContainer.self, RunContainer.self, StartContainer.self,
                    StopContainer.self, RemoveContainer.self, InspectContainer.self, Logs.self, Exec.self,
                    Attach.self, ContainerStats.self, UpdateContainer.self, CheckpointContainer.self,
                ]),
            CommandGroup(
                name: "Images:",
                subcommands: [
                    ListImages.self, PullImage.self, RemoveImage.self, InspectImage.self, ImageFilesystem.self,
                ]),
            CommandGroup(
                name: "Runtime:",
                subcommands: [
                    Version.self, Info.self, RuntimeConfig.self, UpdateRuntimeConfig.self, ContainerEvents.self,
                    MetricDescriptors.self,
                ]),
        ])

    static func start(_ arguments: [String]) async {
        do {
            let (options, rest) = try GlobalOptions.split(arguments)
            let session = try Session(options)
            try await Session.$current.withValue(session) {
                var command = try parseAsRoot(rest)
                if var command = command as? any AsyncParsableCommand {
                    try await command.run()
                } else {
                    try command.run()
                }
            }
        } catch let error as BerthError {
            fail("\(error)")
        } catch let error as RPCError {
            fail(Connection.describe(error))
        } catch {
            exit(withError: error)
        }
    }

    private static func fail(_ message: String) -> Never {
        let output = TerminalOutput.standardError
        output.writeLine(output.color(.red, "berth-crictl:") + " " + message)
        Glibc.exit(1)
    }
}
