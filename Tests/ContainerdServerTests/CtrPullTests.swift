import Core
import Engine
import Foundation
import SystemPackage
import TestSupport
import Testing

/// `ctr images pull`: the client talks to the registry and to Berth's content and snapshots.
@Suite("ctr with a registry") struct CtrPullTests {
    @Test func pullsFromALocalRegistry() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            let registry = try await TestRegistry(below: daemon.scratch.path)
            defer { registry.stop() }
            try await registry.push(fixture, as: "box:v1")
            let name = "127.0.0.1:\(registry.port)/box:v1"
            try await daemon.ctr("images", "pull", "--plain-http", name)
            #expect(try await daemon.ctr("images", "check").contains(/complete \(4\/4\)/))
            let status = try await daemon.images.status(of: name, namespace: "default")
            #expect(status?.config.config?.env == ["PATH=/bin"])
            #expect(try await daemon.ctr("leases", "ls", "-q") == "")
        }
    }
}

/// Debian's docker-registry on a port of its own.
final class TestRegistry {
    let port: Int
    private let process: Process

    init(below directory: FilePath) async throws {
        let folder = directory.appending("registry").string
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for _ in 0..<10 {
            let port = Int.random(in: 20_000..<32_000)
            let configuration = """
                version: 0.1
                log: {level: error}
                storage:
                  filesystem: {rootdirectory: \(folder)/data}
                http: {addr: "127.0.0.1:\(port)"}
                """
            try configuration.write(toFile: "\(folder)/config.yml", atomically: true, encoding: .utf8)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/docker-registry")
            process.arguments = ["serve", "\(folder)/config.yml"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            for _ in 0..<100 where process.isRunning {
                if Self.accepts(port) {
                    self.port = port
                    self.process = process
                    return
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            process.terminate()
        }
        throw CommandFailure(command: "docker-registry", status: 1, errors: "does not listen")
    }

    func push(_ fixture: ImageFixture, as name: String) async throws {
        _ = try await Command.run(
            "skopeo",
            [
                "copy", "--insecure-policy", "--dest-tls-verify=false", "oci:\(fixture.layout):v1",
                "docker://127.0.0.1:\(port)/\(name)",
            ])
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    deinit {
        if process.isRunning { process.terminate() }
    }

    private static func accepts(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
