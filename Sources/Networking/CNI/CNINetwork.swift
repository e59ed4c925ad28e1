internal import Core
internal import LinuxKernel
public import Logging
internal import OCISpec
public import SystemPackage

/// Pods on the network of the node's CNI configuration (CNI spec 1.1; configurations from version 0.1.0 on).
public final class CNINetwork: PodNetwork {
    let directory: CNIConfigurationDirectory
    let plugins: CNIPlugins
    let cache: CNIAttachmentCache
    private let scopes: KernelScopes
    private let pods = KeyedLock<String>()
    /// GC goes by a list of attachments, and no ADD or DEL may run that it does not know of.
    let gate = InFlightGate()
    private let logger: Logger

    /// - Parameters:
    ///   - cacheDirectory: of attachments; on disk: /var/lib/berth/cni.
    ///   - timeout: for one call of a plugin, which is killed then.
    ///   - hostNamespace: where plugins run; `nil` for the daemon's own.
    public init(
        configDirectory: FilePath = "/etc/cni/net.d",
        pluginDirectories: [FilePath] = ["/opt/cni/bin", "/usr/lib/cni"],
        cacheDirectory: FilePath, timeout: Duration = .seconds(90), hostNamespace: FilePath? = nil,
        logger: Logger = Logger(label: "berth.cni")
    ) {
        directory = CNIConfigurationDirectory(path: configDirectory)
        plugins = CNIPlugins(
            directories: pluginDirectories,
            process: PluginProcess(hostNamespace: hostNamespace, timeout: timeout))
        cache = CNIAttachmentCache(directory: cacheDirectory)
        scopes = KernelScopes(hostNamespace: hostNamespace ?? "/proc/self/ns/net")
        self.logger = logger
    }

    /// Whether the directory has files of configurations, valid or not.
    var hasFiles: Bool {
        if case .none = directory.choice() { false } else { true }
    }

    /// Whether the pod has attachments, which it has from before ADD until after DEL.
    public func holds(podID: String) -> Bool {
        !cache.interfaces(of: podID).isEmpty
    }

    /// Every plugin is there and, from version 1.1 on, answers STATUS.
    public func status() async -> NetworkStatus {
        let configuration: CNIConfiguration
        var warnings: [String] = []
        switch directory.choice() {
        case .none:
            return .notReady("cni config uninitialized: no network config found in \(directory.path)")
        case .invalid(let problems):
            return .notReady("cni config uninitialized: \(problems.joined(separator: "; "))", warnings: problems)
        case .found(let found, let problems):
            configuration = found
            warnings = problems
        }
        let provider = "cni \(configuration.name)"
        do {
            for plugin in configuration.plugins { _ = try plugins.find(plugin.type) }
            let version = try await plugins.negotiate(configuration.offered, plugins: configuration.plugins)
            if version >= .v1_1_0 {
                for plugin in configuration.plugins {
                    _ = try await plugins.call(
                        CNIInvocation(
                            .status, plugin: plugin, name: configuration.name, version: version,
                            path: plugins.directories))
                }
            }
        } catch {
            return .notReady("\(error)", warnings: warnings, provider: provider)
        }
        return NetworkStatus(isReady: true, warnings: warnings, provider: provider)
    }

    private func usable() throws -> CNIConfiguration {
        switch directory.choice() {
        case .none:
            throw BerthError(.unavailable, "cni config uninitialized: no network config found in \(directory.path)")
        case .invalid(let problems):
            throw BerthError(.unavailable, "cni config uninitialized: \(problems.joined(separator: "; "))")
        case .found(let configuration, _): return configuration
        }
    }

    public func setUp(_ request: PodNetworkRequest) async throws -> PodNetworkResult {
        try CNIRules.checkContainerID(request.podID)
        try CNIRules.checkInterfaceName(request.interfaceName)
        let configuration = try usable()
        return try await inTurn(request.podID) {
            // What an attempt that was killed half way left, possibly of another configuration.
            try await detach(podID: request.podID, interface: request.interfaceName)
            let version = try await plugins.negotiate(configuration.offered, plugins: configuration.plugins)
            var attachment = try CNIAttachment(request, configuration: configuration, version: version)
            try await scopes.inside(scopes.open(request.networkNamespace)) { try PodLink.raiseLoopback($0) }
            warnOfUnusedCapabilities(attachment, configuration)
            try cache.write(attachment)
            try Failpoint.reach("cni.add.recorded")
            do {
                let result = try await add(attachment, configuration, version)
                attachment.result = result
                try cache.write(attachment)
                return try CNIResult.decode(
                    result, version: version, interface: request.interfaceName)
            } catch {
                // DEL after a failed ADD (spec, "ADD"); what it does not manage is left to garbage collection.
                do { try await detach(podID: request.podID, interface: request.interfaceName) } catch let second {
                    logger.warning(
                        "could not undo a failed ADD",
                        metadata: ["pod": "\(request.podID)", "error": "\(second)"])
                }
                throw error
            }
        }
    }

    func inTurn<Result>(_ podID: String, _ body: () async throws -> Result) async throws -> Result {
        try await pods.withLock(podID) { try await gate.withOperation { try await body() } }
    }

    private func add(
        _ attachment: CNIAttachment, _ configuration: CNIConfiguration, _ version: CNIVersion
    ) async throws -> JSONValue {
        var previous: JSONValue?
        for plugin in configuration.plugins {
            let answer = try await plugins.call(
                CNIInvocation(
                    .add, plugin: plugin, name: configuration.name, version: version, attachment: attachment,
                    path: plugins.directories, previous: previous))
            guard let answer else {
                throw BerthError(.internal, "cni plugin \(plugin.type) (ADD) wrote no result")
            }
            previous = answer
            try Failpoint.reach("cni.add.plugin")
        }
        guard let previous else { throw BerthError(.internal, "network \(configuration.name) has no plugin") }
        return previous
    }

    private func warnOfUnusedCapabilities(_ attachment: CNIAttachment, _ configuration: CNIConfiguration) {
        let served = configuration.plugins.reduce(into: Set<String>()) { $0.formUnion($1.capabilities) }
        for capability in ["portMappings", "bandwidth", "ipRanges"] where !served.contains(capability) {
            guard attachment.runtimeConfig.contains(where: { $0.key == capability }) else { continue }
            logger.warning(
                "no plugin of the network has the capability that the pod asks for",
                metadata: [
                    "pod": "\(attachment.podID)", "capability": "\(capability)", "network": "\(configuration.name)",
                ])
        }
    }

    public func tearDown(_ request: PodNetworkRequest) async throws {
        try CNIRules.checkContainerID(request.podID)
        try await inTurn(request.podID) {
            for interface in cache.interfaces(of: request.podID) {
                try await detach(podID: request.podID, interface: interface)
            }
        }
    }

    /// DEL by the configuration and result of the ADD; nothing where there was none.
    func detach(podID: String, interface: String) async throws {
        guard var attachment = try cache.read(podID: podID, interface: interface) else { return }
        let (configuration, version) = try cached(attachment)
        if !attachment.networkNamespace.isEmpty, !Files.exists(FilePath(attachment.networkNamespace)) {
            attachment.networkNamespace = ""
        }
        for plugin in configuration.plugins.reversed() {
            _ = try await plugins.call(
                CNIInvocation(
                    .delete, plugin: plugin, name: configuration.name, version: version, attachment: attachment,
                    path: plugins.directories, previous: version >= .v0_4_0 ? attachment.result : nil))
            try Failpoint.reach("cni.delete.plugin")
        }
        cache.remove(podID: podID, interface: interface)
        try Failpoint.reach("cni.delete.forgotten")
    }

    private func cached(_ attachment: CNIAttachment) throws -> (CNIConfiguration, CNIVersion) {
        let configuration = try CNIConfiguration(
            Array(attachment.configuration.utf8), path: attachment.configurationPath,
            single: !attachment.configurationPath.hasSuffix(".conflist"))
        return (configuration, try CNIVersion(attachment.cniVersion))
    }

    public func check(_ request: PodNetworkRequest) async throws {
        try CNIRules.checkContainerID(request.podID)
        try await pods.withLock(request.podID) {
            guard let attachment = try cache.read(podID: request.podID, interface: request.interfaceName),
                let result = attachment.result
            else {
                throw BerthError(
                    .failedPrecondition, "pod \(request.podID) has no attachment for \(request.interfaceName)")
            }
            let (configuration, version) = try cached(attachment)
            guard version >= .v0_4_0, !configuration.disableCheck else { return }
            for plugin in configuration.plugins {
                do {
                    _ = try await plugins.call(
                        CNIInvocation(
                            .check, plugin: plugin, name: configuration.name, version: version,
                            attachment: attachment, path: plugins.directories, previous: result))
                } catch let error as BerthError {
                    throw BerthError(
                        .failedPrecondition, "pod \(request.podID): network check failed", cause: error)
                }
            }
        }
    }
}
