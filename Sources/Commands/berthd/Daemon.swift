internal import CRIServer
internal import ContainerdServer
internal import Core
internal import Dispatch
internal import Engine
internal import GRPCCore
internal import Glibc
internal import Images
internal import LinuxKernel
internal import Logging
internal import NRI
internal import Networking
internal import SocketTransport
internal import Store
internal import SystemPackage

/// Puts the daemon together and serves until a signal. Containers and their monitors do not notice when it ends.
struct Daemon {
    /// Calls under way may finish for this long after SIGTERM.
    private static let patience = Duration.seconds(5)
    private static let trimPeriod = Duration.seconds(300)

    let configuration: DaemonConfiguration
    let logger: Logger

    func run() async throws {
        let signals = Signals([SIGTERM, SIGINT])
        let root = FilePath(configuration.root)
        do {
            try Files.makeDirectories(root, mode: 0o700)
        } catch {
            throw BerthError(.internal, "could not make the root directory \(root)", cause: error)
        }
        let (database, repair) = try Database.openRepairing(path: root.appending("meta.db"))
        let images = try makeImages(root: root, database: database)
        if let repair { try await tell(repair, lost: images.findAgain()) }
        try await images.recover()
        let plugins =
            configuration.nri.isEnabled ? PluginHost(configuration: configuration.nri.host(), logger: logger) : nil
        let engine = try await Engine(
            configuration: configuration.engine(), database: database, images: images, network: try makeNetwork(),
            plugins: plugins ?? NoPlugins(), logger: logger)
        let outcome: Result<Void, any Error>
        do {
            try await serve(engine, plugins, until: signals)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await images.shutdown()
        try? database.close()
        try outcome.get()
    }

    /// What could be read is used; of the rest, the log says what it was.
    private func tell(_ repair: Database.Repair, lost images: [String]) {
        logger.error(
            "the metadata database was damaged and is repaired from what could be read",
            metadata: [
                "error": "\(repair.cause)", "aside": "\(repair.aside)",
                "kept":
                    "\(repair.kept.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))",
                "damaged": "\(repair.damaged.joined(separator: ", "))",
            ])
        if !images.isEmpty || repair.damaged.contains("image") {
            logger.error(
                "images have to be pulled again",
                metadata: ["images": "\(images.isEmpty ? "those that are missing" : images.joined(separator: ", "))"])
        }
        if repair.damaged.contains("pod") || repair.damaged.contains("container") {
            logger.error("pods and containers whose records are lost are ended; a kubelet starts them again")
        }
    }

    private func serve(_ engine: Engine, _ plugins: PluginHost?, until signals: Signals) async throws {
        if let socket = plugins?.socket { try ListeningSocket.prepare(socket) }
        // Nothing is to be made behind their backs.
        try await plugins?.start(engine)
        let address = FilePath(configuration.socket)
        try ListeningSocket.prepare(address)
        let loop = GRPCLoop()
        let transport = SocketTransport.server(address, on: loop)
        let streaming = try await CRIServices.streaming(
            engine: engine, address: configuration.streaming.address, port: configuration.streaming.port,
            logger: logger)
        let services =
            CRIServices.all(engine: engine, streaming: streaming)
            + ContainerdServices.all(images: engine.images, version: Release.version)
        let server = GRPCServer(
            transport: transport, services: services,
            interceptorPipeline: ([loop.handlersElsewhere] + ContainerdServices.interceptors()).map {
                .apply($0, to: .all)
            }
                + CRIServices.interceptors(logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await loop.run { try await server.serve() } }
            group.addTask { try await streaming.run() }
            if let plugins { group.addTask { try await plugins.run() } }
            _ = try await transport.listeningAddress
            guard chmod(address.string, 0o600) == 0 else {
                throw BerthError(.internal, "could not protect \(address)", cause: Errno(rawValue: errno))
            }
            logger.notice("serving", metadata: ["address": "\(address)", "version": "\(Release.version)"])
            ServiceManagerNotice.send("READY=1\nSTATUS=Serving on \(address)\n")
            let trimming = Task { try await Self.trimMemory() }
            let reclaiming = Task {
                if let thresholds = configuration.images.thresholds {
                    try await engine.images.reclaimAlways(thresholds)
                }
            }
            defer {
                trimming.cancel()
                reclaiming.cancel()
            }
            let signal = await signals.next()
            logger.notice("ending; containers run on", metadata: ["signal": "\(signal)"])
            ServiceManagerNotice.send("STOPPING=1\n")
            engine.shutDown()
            server.beginGracefulShutdown()
            group.addTask {
                try await Task.sleep(for: Self.patience)
                throw CancellationError()
            }
            do { try await group.next() } catch is CancellationError {
                logger.warning("calls were still under way")
            }
            group.cancelAll()
        }
        try? Syscall.unlinkat(address)
    }

    private static func trimMemory() async throws {
        // After the first answers, which touch once what later ones do not.
        try await Task.sleep(for: .seconds(2))
        while !Task.isCancelled {
            ResidentMemory.trim()
            try await Task.sleep(for: trimPeriod)
        }
    }

    private func makeImages(root: FilePath, database: Database) throws -> ImageService {
        let snapshots = root.appending("snapshots")
        let kind = try configuration.images.snapshotterKind() ?? .automatic(root: snapshots)
        try kind.check(root: snapshots)
        let features = try kind.features(root: snapshots).mapValues { Logger.MetadataValue.string($0 ? "yes" : "no") }
        logger.info(
            "keeping image layers",
            metadata: features.merging(["snapshotter": "\(kind.rawValue)"]) { first, _ in first })
        return try ImageService(
            root: root, database: database,
            registry: RegistryClient(configuration: configuration.images.registry(), logger: logger), snapshotter: kind,
            policy: configuration.images.policy(),
            logins: configuration.images.logins.isEmpty
                ? nil : RegistryLogins(file: FilePath(configuration.images.logins)), logger: logger)
    }

    private func makeNetwork() throws -> any PodNetwork {
        let settings = configuration.network
        // Results and leases are void after a reboot, as the namespaces are.
        let state = FilePath(configuration.state).appending("network")
        return try NetworkSelector(
            cni: CNINetwork(
                configDirectory: FilePath(settings.cniConfigDirectory),
                pluginDirectories: settings.cniPluginDirectories.map { FilePath($0) },
                cacheDirectory: state.appending("cni"), logger: logger),
            builtin: BuiltinNetwork(configuration: settings.builtin(), stateDirectory: state, logger: logger),
            ignoresCNI: !settings.conflist.isEmpty)
    }
}

/// Signals as something to wait for.
private struct Signals {
    private let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init(_ numbers: [Int32]) {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        self.stream = stream
        signal(SIGPIPE, SIG_IGN)
        sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }

    func next() async -> Int32 {
        for await number in stream { return number }
        return SIGTERM
    }
}
