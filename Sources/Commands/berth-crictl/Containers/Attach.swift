internal import ArgumentParser
internal import CRIAPI
private import Core
private import Streaming

struct Attach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach", abstract: "Attach to a running container",
        discussion: """
            Joins the container's own stdio until it ends; ctrl-p ctrl-q leaves it where -i and -t are given.

            EXAMPLES:
              berth-crictl attach 3f2a91
              berth-crictl attach -it 3f2a91
            """)

    @Flag(name: [.short, .long], help: "The container has a pseudo-TTY")
    var tty = false

    @Flag(name: [.customShort("i"), .long], help: "Keep STDIN open")
    var stdin = false

    @OptionGroup var transport: TransportOption

    @Argument(help: ArgumentHelp("Container ID or the beginning of one", valueName: "container-id"))
    var container: String

    func run() async throws {
        _ = try await Connection.open { cri in
            let id = try await cri.containerID(container)
            let response = try await doing("attach to container \(id)") {
                try await cri.runtime.attach(
                    .with {
                        $0.containerID = id
                        $0.tty = tty
                        $0.stdin = stdin
                        $0.stdout = true
                        $0.stderr = !tty
                    }, options: Session.current.asking)
            }
            return try await StreamJoining.run(
                response.url, transport: transport.transport, stdin: stdin, tty: tty)
        }
    }
}
