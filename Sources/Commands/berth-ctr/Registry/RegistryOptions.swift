internal import ArgumentParser
private import Core
private import Foundation
internal import Images
internal import OCISpec
private import SystemPackage
private import Terminal

/// How a registry is reached, and as whom.
struct RegistryOptions: ParsableArguments {
    @Flag(help: "Allow connections using plain HTTP")
    var plainHttp = false

    @Flag(name: [.customShort("k"), .long], help: "Skip the check of the registry's certificate")
    var skipVerify = false

    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "Registry user and password (default: as logged in by docker or podman)", valueName: "user[:password]"))
    var user: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Directory of HOST/hosts.toml; of several the first that has the host counts", valueName: "directory"))
    var hostsDir = RegistryClient.Configuration.usualHostsDirectories

    @Option(help: ArgumentHelp("Send blobs in chunks of so many MiB", valueName: "MiB"))
    var uploadChunk: Int64?

    func validate() throws {
        if let uploadChunk, !(1...1024).contains(uploadChunk) {
            throw ValidationError("--upload-chunk: \(uploadChunk) must be from 1 to 1024")
        }
    }

    /// Runs `body` with a client, which is shut down afterwards.
    func with<Result: Sendable>(
        _ reference: ImageReference, _ body: @Sendable (RegistryClient, RegistryCredentials) async throws -> Result
    ) async throws -> Result {
        let credentials = try await credentials(for: reference)
        var configuration = RegistryClient.Configuration()
        if plainHttp { configuration.plainHTTP = [reference.domain] }
        if skipVerify { configuration.insecureTLS = [reference.domain] }
        configuration.hostsDirectories = hostsDir.map { FilePath($0) }
        configuration.uploadChunk = uploadChunk.map { $0 << 20 }
        let client = RegistryClient(configuration: configuration)
        let outcome: Swift.Result<Result, any Error>
        do {
            outcome = .success(try await body(client, credentials))
        } catch {
            outcome = .failure(error)
        }
        // Its HTTP clients must not be let go of while they are open.
        await client.shutdown()
        return try outcome.get()
    }

    private func credentials(for reference: ImageReference) async throws -> RegistryCredentials {
        if let user {
            let pair = try Credentials(parsing: user, field: "--user")
            return .basic(username: pair.username, password: pair.password)
        }
        for file in Self.loginFiles {
            let found = try await RegistryLogins(file: FilePath(file)).credentials(for: reference.domain)
            if found != .anonymous { return found }
        }
        return .anonymous
    }

    /// Where docker and podman keep logins.
    private static var loginFiles: [String] {
        let environment = ProcessInfo.processInfo.environment
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let file = variable("REGISTRY_AUTH_FILE") { return [file] }
        if let folder = variable("DOCKER_CONFIG") { return ["\(folder)/config.json"] }
        let podman = variable("XDG_RUNTIME_DIR").map { "\($0)/containers/auth.json" }
        let docker = variable("HOME").map { "\($0)/.docker/config.json" }
        return [podman, docker].compactMap { $0 }
    }
}
