import ContainerdServer
import Core
import Engine
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Images
import Store
import SystemPackage
import TestSupport

/// Berth's containerd services on a socket of a test's own, over a real engine and store.
final class TestDaemon {
    let scratch: ScratchDirectory
    let images: ImageService
    let database: Store.Database
    let socket: String
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let serving: Task<Void, any Error>

    init(scratch: ScratchDirectory? = nil) async throws {
        self.scratch = try scratch ?? ScratchDirectory("containerd")
        let root = self.scratch.path.appending("root")
        try FileManager.default.createDirectory(atPath: root.string, withIntermediateDirectories: true)
        database = try Store.Database(path: root.appending("meta.db"))
        images = try ImageService(root: root, database: database, registry: RegistryClient())
        try await images.recover()
        socket = self.scratch.path.appending("berth.sock").string
        try? FileManager.default.removeItem(atPath: socket)
        let server = GRPCServer(
            transport: .http2NIOPosix(
                address: .unixDomainSocket(path: socket), transportSecurity: .plaintext),
            services: ContainerdServices.all(images: images, version: "0.1.0-test"),
            interceptors: ContainerdServices.interceptors())
        self.server = server
        serving = Task { try await server.serve() }
        _ = try await server.listeningAddress
    }

    /// Runs `body` with a daemon that is gone afterwards.
    static func run<Value>(_ body: (TestDaemon) async throws -> Value) async throws -> Value {
        let daemon = try await TestDaemon()
        do {
            let value = try await body(daemon)
            try await daemon.stop()
            return value
        } catch {
            try? await daemon.stop()
            throw error
        }
    }

    func stop() async throws {
        server.beginGracefulShutdown()
        serving.cancel()
        _ = await serving.result
        await images.shutdown()
        try database.close()
    }

    /// Runs Debian's `ctr` on this daemon.
    ///
    /// - Throws: ``CommandFailure`` if it fails.
    @discardableResult
    func ctr(_ arguments: String..., namespace: String = "default") async throws -> String {
        try await Command.run("ctr", ["-a", socket, "-n", namespace] + arguments)
    }

    /// The error text of a `ctr` that has to fail.
    func ctrFailure(_ arguments: String..., namespace: String = "default") async -> String {
        do {
            let output = try await Command.run("ctr", ["-a", socket, "-n", namespace] + arguments)
            return "no failure: \(output)"
        } catch {
            return "\(error)"
        }
    }
}
