internal import Core
public import Engine
internal import LinuxKernel
internal import NRIAPI
internal import SystemPackage

extension PluginHost {
    private static let configurationLimit = 1 << 20
    /// For a plugin to hear that the daemon ends.
    private static let farewell = Duration.seconds(1)

    /// Starts the programs of the plugin directory and waits until each has joined, or failed to.
    public func start(_ engine: Engine) async throws {
        state.withLock { $0.engine = engine }
        guard let directory = configuration.pluginDirectory else { return }
        let files: [String]
        do { files = try Files.list(directory).sorted() } catch Errno.noSuchFileOrDirectory { return } catch {
            throw BerthError(.internal, "could not list plugins in \(directory)", cause: error)
        }
        await withTaskGroup { group in
            for file in files {
                let path = directory.appending(file)
                guard let status = try? Syscall.stat(path, follow: true), status.kind == .regular,
                    status.permissions & 0o111 != 0
                else { continue }
                group.addTask {
                    do { try await self.launch(path) } catch {
                        self.logger.error(
                            "could not start a plugin", metadata: ["path": "\(path)", "error": "\(error)"])
                    }
                }
            }
        }
    }

    /// Returns when the plugin has joined; it is served on.
    private func launch(_ path: FilePath) async throws {
        let name = try PluginName(file: path.lastComponent?.string ?? "")
        let settings = try settings(of: name)
        let (ours, theirs) = try Syscall.socketpair(.stream)
        let process = try Spawn.spawn(
            executable: path, arguments: [path.string],
            environment: [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NRI_PLUGIN_NAME=\(name.name)",
                "NRI_PLUGIN_IDX=\(name.index)", "NRI_PLUGIN_SOCKET=3",
            ], descriptors: [(theirs.fd, 3)], newGroup: true)
        theirs.close()
        Task { [logger] in
            let status = try await process.wait()
            logger.notice(
                "a plugin's process has ended", metadata: ["plugin": "\(name)", "status": "\(status.code)"])
        }
        let connection = try PluginConnection(ours)
        await withCheckedContinuation { continuation in
            Task {
                await self.serve(connection, name: name, process: process, settings: settings) {
                    continuation.resume()
                }
            }
        }
    }

    private func settings(of name: PluginName) throws -> String {
        for file in ["\(name).conf", "\(name.name).conf"] {
            let path = configuration.configurationDirectory.appending(file)
            do {
                return String(decoding: try Files.read(path, limit: Self.configurationLimit), as: UTF8.self)
            } catch Errno.noSuchFileOrDirectory {
                continue
            } catch {
                throw BerthError(.internal, "could not read \(path)", cause: error)
            }
        }
        return ""
    }

    /// Takes plugins that come by themselves, until it is cancelled. Then every plugin hears that the daemon ends.
    public func run() async throws {
        do {
            try await accept()
        } catch is CancellationError {}
        // A cancelled task would wait for none of the answers.
        await Task { await shutDown() }.value
    }

    private func accept() async throws {
        guard let path = configuration.socket else {
            while true { try await Task.sleep(for: .seconds(3600)) }
        }
        let socket: OwnedDescriptor
        do {
            try Files.makeDirectories(path.removingLastComponent(), mode: 0o711)
            socket = try Syscall.listen(path, .stream)
            try Syscall.setNonBlocking(socket.fd)
        } catch {
            throw BerthError(.internal, "could not listen for plugins at \(path)", cause: error)
        }
        defer { try? Syscall.unlinkat(path) }
        logger.notice("taking plugins", metadata: ["address": "\(path)"])
        while true {
            try await Poller.shared.readable(socket.fd)
            do {
                let connection = try PluginConnection(Syscall.accept(socket.fd))
                Task { await self.serve(connection) }
            } catch Errno.resourceTemporarilyUnavailable {
                continue
            } catch Errno.connectionAbort {
                continue
            } catch let error as Errno where error == .tooManyOpenFiles || error == .tooManyOpenFilesInSystem {
                logger.warning("a plugin could not connect", metadata: ["error": "\(error)"])
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// - Parameter timeout: for each of them, all at the same time.
    private func shutDown() async {
        let plugins = state.withLock { state in
            defer { state.plugins = [] }
            return state.plugins
        }
        await withTaskGroup { group in
            for plugin in plugins {
                group.addTask {
                    _ = try? await plugin.connection.call(
                        "Shutdown", NRIEmpty(), timeout: Self.farewell, as: NRIEmpty.self)
                    plugin.end()
                }
            }
        }
    }
}
