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

struct CommandFailure: Error, CustomStringConvertible {
    let command: String
    let status: Int32
    let errors: String

    var description: String { "\(command): exit \(status): \(errors)" }
}

enum Command {
    /// Runs a program and gives back what it printed.
    static func run(_ program: String, _ arguments: [String], directory: String? = nil) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try runBlocking(program, arguments, directory: directory) })
            }
        }
    }

    private static func runBlocking(_ program: String, _ arguments: [String], directory: String?) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "-k", "5", "120", program] + arguments
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        // Files and not pipes: nothing has to be read while it runs.
        let folder = FileManager.default.temporaryDirectory
        let (output, errors) = (folder.appending(path: UUID().uuidString), folder.appending(path: UUID().uuidString))
        for file in [output, errors] { FileManager.default.createFile(atPath: file.path, contents: nil) }
        defer { for file in [output, errors] { try? FileManager.default.removeItem(at: file) } }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        let text = String(decoding: try Data(contentsOf: output), as: UTF8.self)
        guard process.terminationStatus == 0 else {
            let complaint = String(decoding: try Data(contentsOf: errors), as: UTF8.self)
            throw CommandFailure(
                command: ([program] + arguments).joined(separator: " "), status: process.terminationStatus,
                errors: complaint + text)
        }
        return text
    }
}
