internal import ArgumentParser
private import Core
private import GRPCCore
private import Glibc
private import Terminal

struct Ctr: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "berth-ctr",
        abstract: "Client for containerd's API: images, content, snapshots, leases, events.",
        usage: "berth-ctr [global options] <command> [options] [arguments]",
        discussion: """
            Works on the socket of berthd and of containerd.

            GLOBAL OPTIONS (before the command):
            \(GlobalOptions.help)

            EXAMPLES:
              berth-ctr image build-rootfs --busybox /bin/busybox \\
                  --tag docker.io/library/busybox:local --output busybox.tar
              berth-ctr -n k8s.io images import busybox.tar
              berth-ctr -n k8s.io images ls
              berth-ctr -a /run/containerd/containerd.sock namespaces ls
            """,
        version: "berth-ctr 0.1.0",
        subcommands: [
            ImagesCommand.self, ContentCommand.self, SnapshotsCommand.self, LeasesCommand.self,
            NamespacesCommand.self, RegistryCommand.self, Events.self, Version.self,
        ])

    static func start(_ arguments: [String]) async {
        do {
            let (options, rest) = try GlobalOptions.split(arguments)
            try await Session.$current.withValue(try Session(options)) {
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
        output.writeLine(output.color(.red, "berth-ctr:") + " " + message)
        Glibc.exit(1)
    }
}
