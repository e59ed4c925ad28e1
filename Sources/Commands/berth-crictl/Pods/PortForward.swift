internal import ArgumentParser
internal import CRIAPI
private import Core
private import Streaming

struct PortForward: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "port-forward", abstract: "Forward local port to a pod",
        discussion: """
            Listens on 127.0.0.1 until it is interrupted. A local port of 0, as in 0:80, is any free one.

            EXAMPLES:
              berth-crictl port-forward 8a4dce 8080:80
              berth-crictl port-forward 8a4dce 5432
            """)

    @OptionGroup var transport: TransportOption

    @Argument(help: ArgumentHelp("Pod ID or the beginning of one", valueName: "pod-id"))
    var pod: String

    @Argument(help: ArgumentHelp("What leads where", valueName: "[local-port:]remote-port"))
    var ports: [String]

    func run() async throws {
        let mappings = try ports.map(Self.mapping)
        try await Connection.open { cri in
            let id = try await cri.podID(pod)
            let response = try await doing("port-forward to pod \(id)") {
                try await cri.runtime.portForward(
                    .with {
                        $0.podSandboxID = id
                        $0.port = mappings.map { Int32($0.remote) }
                    }, options: Session.current.asking)
            }
            try await PortForwardClient(mappings) { Output.line($0) }
                .run(url: response.url, transport: transport.transport)
        }
    }

    private static func mapping(_ text: String) throws -> PortForwardClient.Mapping {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let last = parts.last.flatMap { UInt16($0) }
        let first = parts.first.flatMap { $0.isEmpty ? 0 : UInt16($0) }
        guard parts.count <= 2, let remote = last, remote > 0, let local = first else {
            throw BerthError.invalid(field: "port", value: text, rule: "must be [LOCAL:]REMOTE, from 1 to 65535")
        }
        return PortForwardClient.Mapping(local: local, remote: remote)
    }
}
