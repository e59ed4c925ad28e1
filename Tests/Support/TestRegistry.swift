internal import Foundation
public import SystemPackage

/// Debian's docker-registry on a port of its own.
public final class TestRegistry: Sendable {
    public let port: Int
    private let process: RunningProcess

    public init(below directory: FilePath) async throws {
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
                    self.process = RunningProcess(process)
                    return
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            process.terminate()
        }
        throw CommandFailure(command: "docker-registry", status: 1, output: "does not listen")
    }

    public func push(_ fixture: ImageFixture, as name: String) async throws {
        try await Command.run(
            "skopeo",
            [
                "copy", "--insecure-policy", "--dest-tls-verify=false", "oci:\(fixture.layout):v1",
                "docker://127.0.0.1:\(port)/\(name)",
            ])
    }

    public func stop() {
        process.stop()
    }

    deinit { process.stop() }

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

/// Foundation's `Process` is not Sendable on Linux; all that is done with it here is to stop it, once.
private final class RunningProcess: @unchecked Sendable {
    private let process: Process

    init(_ process: Process) {
        self.process = process
    }

    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }
}
