internal import Core
public import Engine
public import Logging
internal import NRIAPI
internal import OCISpec
internal import SwiftProtobuf
internal import Synchronization
public import SystemPackage

/// Where plugins are and how long they may take.
public struct PluginHostConfiguration: Sendable {
    /// Where plugins connect; `nil` for none that come by themselves.
    public var socket: FilePath?
    /// Programs `NN-NAME` that are started as plugins; `nil` for none.
    public var pluginDirectory: FilePath?
    /// Their configurations: `NN-NAME.conf`, else `NAME.conf`.
    public var configurationDirectory: FilePath = "/etc/nri/conf.d"
    /// From a plugin's connection to its being told the state of the node.
    public var registrationTimeout = Duration.seconds(5)
    /// For an answer. A plugin that takes longer is dropped, and the node goes on without it.
    public var requestTimeout = Duration.seconds(2)

    public init() {}
}

/// The plugins of the Node Resource Interface, called one after the other in the order of their indices.
///
/// Each plugin hears of one thing at a time, in the order in which it happened. One that does not answer in time, or breaks
/// the protocol, is dropped; one that says no fails the step that it was asked about.
///
/// A plugin that comes later is first told what is there. It is in the list from the moment on in which that is looked up,
/// and its other calls wait until it has answered: it hears of every container, in the one way or in the other.
public final class PluginHost: LifecyclePlugins {
    struct State {
        /// In the order of their calls.
        var plugins: [Plugin] = []
        var nextID: UInt64 = 0
        /// What plugins were told already, while the engine does not show it yet.
        var pods: [String: PodSandbox] = [:]
        var containers: [String: (container: Container, spec: RuntimeSpec)] = [:]
        weak var engine: Engine?
    }

    let configuration: PluginHostConfiguration
    let logger: Logger
    let state = Mutex(State())
    /// Keys: IDs of plugins.
    let turns = KeyedLock<UInt64>()

    public init(configuration: PluginHostConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Where plugins connect.
    public var socket: FilePath? { configuration.socket }

    var engine: Engine? { state.withLock { $0.engine } }

    func plugins() -> [Plugin] { state.withLock { $0.plugins } }

    // MARK: Reaching them

    /// Calls the plugin, in its turn. One that cannot be reached is dropped.
    ///
    /// - Returns: `nil` for a plugin that does not want the event, or is gone.
    /// - Throws: `BerthError` where it says no, or what `body` throws.
    func reach<Answer: Sendable>(
        _ plugin: Plugin, _ event: NRIEvent, _ body: () async throws -> Answer
    ) async throws -> Answer? {
        guard plugin.wants(event), !plugin.connection.isClosed else { return nil }
        do {
            return try await turns.withLock(plugin.id) {
                try Failpoint.reach("nri.event.asked")
                let answer = try await body()
                try Failpoint.reach("nri.event.answered")
                return answer
            }
        } catch let failure as CallFailure {
            guard !failure.isFatal else {
                drop(plugin, "\(event.method): \(failure)")
                return nil
            }
            throw BerthError(.failedPrecondition, "plugin \(plugin.name) refused \(event.method): \(failure)")
        }
    }

    func ask<Answer: Message & Sendable>(
        _ plugin: Plugin, _ event: NRIEvent, _ request: some Message, as: Answer.Type
    ) async throws -> Answer? {
        try await reach(plugin, event) {
            try await plugin.connection.call(
                event.method, request, timeout: configuration.requestTimeout, as: Answer.self)
        }
    }

    /// Tells each of `plugins`, or all that there are.
    ///
    /// - Throws: `BerthError` of the first that says no.
    func tell(
        _ event: NRIEvent, _ request: some Message, _ pod: NRIPodSandbox, _ container: NRIContainer? = nil,
        plugins: [Plugin]? = nil
    ) async throws {
        for plugin in plugins ?? self.plugins() {
            _ = try await reach(plugin, event) {
                try await plugin.tell(
                    event, request, pod: pod, container: container, timeout: configuration.requestTimeout)
            }
        }
    }

    /// Of what has happened already nobody can say no; who does is heard, and that is all.
    func heard(_ body: () async throws -> Void) async {
        do { try await body() } catch {
            logger.warning("a plugin complains of what has happened", metadata: ["error": "\(error)"])
        }
    }

    /// What was not closed by its end is closed, and it is not called any more.
    func drop(_ plugin: Plugin, _ reason: String) {
        let wasThere = state.withLock { state in
            let count = state.plugins.count
            state.plugins.removeAll { $0.id == plugin.id }
            return state.plugins.count < count
        }
        plugin.end()
        guard wasThere else { return }
        logger.warning("a plugin is dropped", metadata: ["plugin": "\(plugin.name)", "reason": "\(reason)"])
    }

    // MARK: What they ask for

    /// - Returns: what could not be done.
    func carryOut(_ updates: [NRIContainerUpdate], of plugin: String) async -> [NRIContainerUpdate] {
        var failed: [NRIContainerUpdate] = []
        for update in updates where update.hasLinux && update.linux.hasResources {
            do {
                var limits = AdjustedLimits()
                var claims = FieldClaims(containerID: update.containerID)
                try limits.apply(update.linux.resources, by: plugin, &claims)
                try await engine?.setLimits(of: update.containerID, to: limits.limits)
            } catch {
                if update.ignoreFailure { continue }
                failed.append(update)
                logger.warning(
                    "could not change the limits of a container for a plugin",
                    metadata: ["plugin": "\(plugin)", "container": "\(update.containerID)", "error": "\(error)"])
            }
        }
        return failed
    }

    /// Beside the step that it was asked in, which may hold what the other container's end waits for.
    func carryOut(_ evictions: [NRIContainerEviction], of plugin: String) {
        for eviction in evictions {
            logger.notice(
                "a plugin evicts a container",
                metadata: [
                    "plugin": "\(plugin)", "container": "\(eviction.containerID)", "reason": "\(eviction.reason)",
                ])
            Task { [engine, logger] in
                do { try await engine?.stopContainer(eviction.containerID, grace: .zero) } catch {
                    logger.warning(
                        "could not evict a container",
                        metadata: ["container": "\(eviction.containerID)", "error": "\(error)"])
                }
            }
        }
    }
}
