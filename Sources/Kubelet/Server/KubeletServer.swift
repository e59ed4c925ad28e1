internal import Core
internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import SystemPackage

/// The node's HTTP endpoints, those of a kubelet that ask for no identity: they are served on localhost only by default.
public struct KubeletServer: Sendable {
    private let agent: NodeAgent

    public init(_ agent: NodeAgent) { self.agent = agent }

    /// Serves until the task is cancelled.
    public func run() async throws {
        let configuration = agent.configuration
        let log = agent.log
        let port = configuration.port
        let address = configuration.address
        var quiet = log
        // What matters of it is thrown; the rest is connections that end when the agent does.
        quiet.logLevel = .critical
        let application = Application(
            router: router(),
            configuration: .init(address: .hostname(address, port: port), serverName: nil),
            onServerRunning: { channel in
                log.info("listening on http://\(address):\(channel.localAddress?.port ?? port)")
            },
            logger: quiet)
        do {
            try await application.run()
        } catch is CancellationError {
            return
        } catch {
            throw BerthError(
                .unavailable, "cannot listen on \(address):\(port)", cause: error, advice: "choose another with --port")
        }
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        for path in ["/healthz", "/livez", "/healthz/syncloop"] {
            router.get(RouterPath(path)) { _, _ in
                if let trouble = await agent.trouble() {
                    return Self.text("\(trouble)\n", status: .internalServerError)
                }
                return Self.text("ok")
            }
        }
        router.get("/healthz/ping") { _, _ in Self.text("ok") }
        router.get("/pods") { _, _ in
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let data = try encoder.encode(PodList(items: await agent.list()))
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: ByteBuffer(bytes: data)))
        }
        router.get("/metrics") { _, _ in
            Self.text(KubeletMetrics.text(for: await agent.list()), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.get("/containerLogs/:namespace/:pod/:container") { request, context in
            let namespace = try context.parameters.require("namespace")
            let pod = try context.parameters.require("pod")
            let name = try context.parameters.require("container")
            let lines = request.uri.queryParameters["tailLines"].flatMap { Int($0) } ?? 1000
            guard let path = await agent.logPath("\(namespace)/\(pod)", name) else {
                return Self.text("container \"\(name)\" of pod \"\(namespace)/\(pod)\" has no log\n", status: .notFound)
            }
            return Self.text(ContainerLogs.lastLines(path, lines: min(max(lines, 0), 100_000), bytes: 1 << 20))
        }
        return router
    }

    private static func text(
        _ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}

extension NodeAgent {
    func logPath(_ pod: String, _ container: String) async -> FilePath? {
        await worker(pod)?.logPath(of: container)
    }
}
