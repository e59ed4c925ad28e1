internal import Foundation
internal import SystemPackage
internal import TestSupport

/// Debian's docker-registry on a port of its own, with a password or a certificate if wanted.
final class DockerRegistry: @unchecked Sendable {
    let port: Int
    private let process: Process
    private let scratch: ScratchDirectory

    static let user = "ann"
    static let password = "pass:word"

    /// PEM, where it has TLS.
    var certificate: String { scratch.path.appending("certificate.pem").string }
    var key: String { scratch.path.appending("key.pem").string }

    /// - Parameters:
    ///   - name: in the certificate.
    ///   - wantsCertificate: clients have to show a certificate too; the registry's own one will do.
    init(
        password isGuarded: Bool = false, tls isEncrypted: Bool = false, name: String = "IP:127.0.0.1",
        wantsCertificate: Bool = false
    ) async throws {
        let scratch = try ScratchDirectory("registry")
        let folder = scratch.path.string
        var extra = ""
        if isGuarded {
            // crypt(3) knows bcrypt, which is all that the registry takes.
            try await Command.run(
                "sh",
                [
                    "-c",
                    #"perl -e 'print "ann:", crypt("pass:word", "\$2y\$05\$abcdefghijklmnopqrstuu"), "\n"' > "#
                        + "\(folder)/htpasswd",
                ])
            extra += "auth: {htpasswd: {realm: berth, path: \(folder)/htpasswd}}\n"
        }
        if isEncrypted {
            try await Command.run(
                "openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj",
                    "/CN=registry", "-addext", "subjectAltName=\(name)", "-keyout", "\(folder)/key.pem", "-out",
                    "\(folder)/certificate.pem",
                ])
        }
        let clients = wantsCertificate ? ", clientcas: [\(folder)/certificate.pem]" : ""
        let tls =
            isEncrypted ? ", tls: {certificate: \(folder)/certificate.pem, key: \(folder)/key.pem\(clients)}" : ""
        for _ in 0..<10 {
            let port = Int.random(in: 20_000..<32_000)
            try scratch.file(
                "config.yml",
                """
                version: 0.1
                log: {level: error}
                storage: {filesystem: {rootdirectory: \(folder)/data}, delete: {enabled: true}}
                http: {addr: "127.0.0.1:\(port)"\(tls)}
                \(extra)
                """)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/docker-registry")
            process.arguments = ["serve", "\(folder)/config.yml"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            for _ in 0..<200 where process.isRunning {
                if Self.accepts(port) {
                    (self.port, self.process, self.scratch) = (port, process, scratch)
                    return
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            process.terminate()
        }
        throw POSIXError(.ETIMEDOUT)
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
    }

    var host: String { "127.0.0.1:\(port)" }

    private static func accepts(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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
