internal import Core
private import Glibc
internal import LinuxKernel
internal import OCISpec
internal import Synchronization
internal import SystemPackage

/// The plugin programs: finds and calls them, and knows which versions each speaks.
final class CNIPlugins: Sendable {
    let directories: [FilePath]
    private let process: PluginProcess
    private let versions = Mutex<[Program: Set<CNIVersion>]>([:])

    private struct Program: Hashable {
        let path: String
        let inode: UInt64
        let changed: Int
    }

    init(directories: [FilePath], process: PluginProcess) {
        self.directories = directories
        self.process = process
    }

    /// - Throws: `BerthError` (`failedPrecondition`) that names the directories that were searched.
    func find(_ type: String) throws -> FilePath {
        for directory in directories {
            let path = directory.appending(type)
            if let status = try? Syscall.stat(path, follow: true), status.kind == .regular, status.mode & 0o111 != 0 {
                return path
            }
        }
        let searched = directories.map(\.string).joined(separator: ", ")
        throw BerthError(
            .failedPrecondition, "failed to find plugin \"\(type)\" in path [\(searched)]",
            advice: "install the containernetworking-plugins package")
    }

    /// - Returns: what the plugin wrote, read as JSON; `nil` for nothing.
    /// - Throws: `BerthError` with the plugin's name, its message and code; its cause is the `CNIError`.
    func call(_ invocation: CNIInvocation, within limit: Duration? = nil) async throws -> JSONValue? {
        let executable = try find(invocation.plugin)
        let what = "cni plugin \(invocation.plugin) (\(invocation.command.rawValue))"
        let output: PluginProcess.Output
        do {
            output = try await process.run(
                executable, environment: Self.environment(invocation.environment), input: invocation.input,
                within: limit)
        } catch let error as Errno {
            throw BerthError(.internal, "\(what): start \(executable)", cause: error)
        }
        guard output.status == .exited(0) else {
            if let error = CNIError(output: output.output) { throw BerthError(error.berthCode, what, cause: error) }
            let said = (output.errors.isEmpty ? String(decoding: output.output, as: UTF8.self) : output.errors)
                .split(whereSeparator: \.isNewline).suffix(3).joined(separator: "; ")
            let end: String =
                switch output.status {
                case .exited(let status): "exited with status \(status)"
                case .signalled(let signal): "was killed by signal \(signal)"
                }
            throw BerthError(.internal, "\(what) \(end)\(said.isEmpty ? "" : ": \(said.prefix(2000))")")
        }
        let isBlank = output.output.allSatisfy { $0 == 0x20 || (0x09...0x0d).contains($0) }
        return isBlank ? nil : try StrictJSON.parse(output.output, what: "\(what): result", limit: process.outputLimit)
    }

    /// The newest of `offered` that every plugin speaks; plugins are asked only where there is a choice.
    func negotiate(_ offered: [CNIVersion], plugins: [CNIConfiguration.Plugin]) async throws -> CNIVersion {
        guard let newest = offered.first else { return .v1_0_0 }
        guard offered.count > 1 else { return newest }
        var common = Set(offered)
        for plugin in plugins { common.formIntersection(try await supportedVersions(plugin.type)) }
        guard let version = common.max() else {
            throw BerthError(
                .failedPrecondition,
                "no cni version of \(offered.map(\.description).joined(separator: ", ")) is spoken by all plugins")
        }
        return version
    }

    func supportedVersions(_ type: String) async throws -> Set<CNIVersion> {
        let path = try find(type)
        let status = try Syscall.stat(path, follow: true)
        let program = Program(path: path.string, inode: UInt64(status.inode), changed: status.changed.seconds)
        if let known = versions.withLock({ $0[program] }) { return known }
        let newest = CNIVersion.known.last ?? .v1_0_0
        let answer = try await call(CNIInvocation(versionOf: type, asking: newest, path: directories))
        var supported: Set<CNIVersion> = []
        if case .array(let texts)? = answer?["supportedVersions"] {
            supported = Set(
                texts.compactMap { value in
                    if case .string(let text) = value { try? CNIVersion(text) } else { nil }
                })
        }
        versions.withLock { $0[program] = supported }
        return supported
    }

    /// Plugins get the daemon's environment, as other runtimes give it, but not what belongs to the daemon alone.
    private static func environment(_ own: [String: String]) -> [String] {
        var result: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            let key = String(text.prefix { $0 != "=" })
            let isDaemons =
                key.hasPrefix("CNI_") || key.hasPrefix("LISTEN_") || key == "NOTIFY_SOCKET" || key == "WATCHDOG_USEC"
                || key == "WATCHDOG_PID"
            if !isDaemons { result.append(text) }
            next += 1
        }
        return result + own.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }
}
