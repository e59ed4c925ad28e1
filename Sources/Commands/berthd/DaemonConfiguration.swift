internal import Core
internal import Engine
internal import Foundation
internal import Images
internal import Logging
internal import NRI
internal import Networking
internal import SystemPackage
internal import TOMLKit

/// The configuration file, with the defaults of what it leaves out. `berthd config default` explains every key.
struct DaemonConfiguration {
    static let defaultPath = "/etc/berth/config.toml"

    var root = "/var/lib/berth"
    var state = "/run/berth"
    /// `nil`: berth.sock in `state`.
    var address: String?
    var logLevel = Logger.Level.info
    var launcher: String?
    var cgroupParent = "/berth"
    var usesSystemd = false
    var unsetSeccomp = SecurityProfile.unconfined
    var usesSELinux = true
    var seccompDirectory = "/var/lib/kubelet/seccomp"
    var passedAnnotations: [String] = []
    var cdiDirectories = ["/etc/cdi", "/var/run/cdi"]
    var hookDirectories = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"]
    var runtimes: [String: String] = [:]
    /// Empty: criu of the PATH.
    var criu = ""
    var restoresCheckpoints = false
    var sharedMemoryMegabytes = 64
    var network = NetworkSettings()
    var images = ImageSettings()
    var streaming = StreamingSettings()
    var nri = PluginSettings()

    struct StreamingSettings {
        var address = "127.0.0.1"
        /// 0: any free one.
        var port = 0
    }

    struct PluginSettings {
        var isEnabled = false
        var socket = "/var/run/nri/nri.sock"
        var pluginDirectory = "/opt/nri/plugins"
        var configurationDirectory = "/etc/nri/conf.d"
        var registrationSeconds = 5
        var requestSeconds = 2
    }

    struct NetworkSettings {
        var cniConfigDirectory = "/etc/cni/net.d"
        var cniPluginDirectories = ["/opt/cni/bin", "/usr/lib/cni"]
        /// Empty for the automatic choice of a free bridge and subnet.
        var bridge = ""
        var subnets: [String] = []
        /// Empty for none.
        var conflist = ""
        var mtu = 0
        var masquerade = true
    }

    struct ImageSettings {
        /// Of what is unpacked from now on.
        var snapshotter = automaticSnapshotter
        static let automaticSnapshotter = "auto"
        /// Registries that are spoken to without TLS, `HOST[:PORT]`.
        var plainHTTP: [String] = []
        /// Registries whose certificate is not checked.
        var insecureTLS: [String] = []
        /// By registry: where to ask first.
        var mirrors: [String: [String]] = [:]
        /// Directories of `HOST/hosts.toml`.
        var hostsDirectories = RegistryClient.Configuration.usualHostsDirectories
        /// What `docker login` leaves; empty for none.
        var logins = ""
        var pinned: [String] = []
        /// The registry of names without one; empty refuses them.
        var shortNames = "docker.io"
        var concurrentDownloads = RegistryClient.Configuration().concurrentDownloads
        /// Empty for no verification.
        var verifierDirectory = ""
        /// Percent of the disk in use beyond which images go that nothing uses; 0 for never.
        var reclaimAbove = 0
        var reclaimTo = 80
    }

    var socket: String { address ?? "\(state)/berth.sock" }

    /// - Parameter path: `nil` for the default file where it exists.
    static func load(_ path: String?) throws -> DaemonConfiguration {
        let file = path ?? defaultPath
        guard let data = FileManager.default.contents(atPath: file) else {
            if path == nil { return DaemonConfiguration() }
            throw BerthError(.notFound, "could not read configuration file \(file)")
        }
        guard data.count <= 1 << 20 else {
            throw BerthError(.invalidArgument, "configuration file \(file) is larger than 1 MiB")
        }
        do {
            return try parse(String(decoding: data, as: UTF8.self))
        } catch {
            throw BerthError.wrapping(error, file)
        }
    }

    static func parse(_ text: String) throws -> DaemonConfiguration {
        try TOMLText.check(text)
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw BerthError(.invalidArgument, "\(error.description) (line \(error.source.begin.line))")
        }
        let top = TOMLSection(table)
        var result = DaemonConfiguration()
        result.root = try top.string("root") ?? result.root
        result.state = try top.string("state") ?? result.state
        result.address = try top.string("address").flatMap { $0.isEmpty ? nil : $0 }
        result.logLevel = try top.string("log_level").map { try level($0, field: "log_level") } ?? result.logLevel
        result.launcher = try top.string("launcher").flatMap { $0.isEmpty ? nil : $0 }

        let pods = try top.section("pods")
        result.cgroupParent = try pods.string("cgroup_parent") ?? result.cgroupParent
        switch try pods.string("cgroup_driver") {
        case nil, "cgroupfs": break
        case "systemd": result.usesSystemd = true
        case let other?:
            throw BerthError.invalid(field: "pods.cgroup_driver", value: other, rule: "must be cgroupfs or systemd")
        }
        result.sharedMemoryMegabytes = try pods.integer("shm_megabytes") ?? result.sharedMemoryMegabytes
        result.passedAnnotations = try pods.strings("passed_annotations") ?? []
        result.hookDirectories = try pods.strings("hooks_directories") ?? result.hookDirectories
        result.criu = try pods.string("criu") ?? result.criu
        result.restoresCheckpoints = try pods.boolean("restore_checkpoints") ?? result.restoresCheckpoints
        for (name, section) in try top.namedSections("runtimes") {
            guard let path = try section.string("path") else {
                throw BerthError(.invalidArgument, "runtimes.\(name).path is missing")
            }
            result.runtimes[name] = path
        }
        result.cdiDirectories = try pods.strings("cdi_directories") ?? result.cdiDirectories
        result.usesSELinux = try pods.boolean("selinux") ?? result.usesSELinux
        result.seccompDirectory = try pods.string("seccomp_directory") ?? result.seccompDirectory
        switch try pods.string("unset_seccomp") {
        case nil, "unconfined": break
        case "runtime/default": result.unsetSeccomp = .runtimeDefault
        case let other?:
            throw BerthError.invalid(
                field: "pods.unset_seccomp", value: other, rule: "must be runtime/default or unconfined")
        }

        let network = try top.section("network")
        result.network.cniConfigDirectory =
            try network.string("cni_config_directory") ?? result.network.cniConfigDirectory
        result.network.cniPluginDirectories =
            try network.strings("cni_plugin_directories") ?? result.network.cniPluginDirectories
        result.network.bridge = try network.string("bridge") ?? result.network.bridge
        result.network.subnets = try network.strings("subnets") ?? result.network.subnets
        result.network.conflist = try network.string("conflist") ?? result.network.conflist
        result.network.mtu = try network.integer("mtu") ?? result.network.mtu
        result.network.masquerade = try network.boolean("masquerade") ?? result.network.masquerade

        let streaming = try top.section("streaming")
        result.streaming.address = try streaming.string("address") ?? result.streaming.address
        result.streaming.port = try streaming.integer("port") ?? result.streaming.port

        let nri = try top.section("nri")
        result.nri.isEnabled = try nri.boolean("enabled") ?? result.nri.isEnabled
        result.nri.socket = try nri.string("socket") ?? result.nri.socket
        result.nri.pluginDirectory = try nri.string("plugin_directory") ?? result.nri.pluginDirectory
        result.nri.configurationDirectory =
            try nri.string("plugin_config_directory") ?? result.nri.configurationDirectory
        result.nri.registrationSeconds =
            try nri.integer("registration_timeout_seconds") ?? result.nri.registrationSeconds
        result.nri.requestSeconds = try nri.integer("request_timeout_seconds") ?? result.nri.requestSeconds

        let images = try top.section("images")
        result.images.snapshotter = try images.string("snapshotter") ?? result.images.snapshotter
        result.images.plainHTTP = try images.strings("plain_http") ?? []
        result.images.insecureTLS = try images.strings("insecure_tls") ?? []
        result.images.hostsDirectories = try images.strings("hosts_directories") ?? result.images.hostsDirectories
        result.images.logins = try images.string("logins") ?? ""
        result.images.concurrentDownloads =
            try images.integer("concurrent_downloads") ?? result.images.concurrentDownloads
        result.images.pinned = try images.strings("pinned") ?? []
        result.images.shortNames = try images.string("short_names") ?? result.images.shortNames
        result.images.verifierDirectory = try images.string("verifier_directory") ?? ""
        result.images.reclaimAbove = try images.integer("reclaim_above") ?? result.images.reclaimAbove
        result.images.reclaimTo = try images.integer("reclaim_to") ?? result.images.reclaimTo
        for (host, section) in try images.namedSections("registry") {
            result.images.mirrors[host] = try section.strings("mirrors") ?? []
        }
        try top.refuseUnknownKeys()
        return result
    }

    static func level(_ text: String, field: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: text) else {
            throw BerthError.invalid(
                field: field, value: text,
                rule: "must be one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return level
    }

    /// What is wrong in itself, before anything of the host is touched.
    func validate() throws {
        let lists: [(String, String)] =
            network.cniPluginDirectories.map { ("network.cni_plugin_directories", $0) }
            + images.hostsDirectories.map { ("images.hosts_directories", $0) }
            + cdiDirectories.map { ("pods.cdi_directories", $0) }
            + hookDirectories.map { ("pods.hooks_directories", $0) }
            + runtimes.map { ("runtimes.\($0.key).path", $0.value) }
        for (field, path) in [
            ("root", root), ("state", state), ("address", socket), ("launcher", launcher ?? "/"),
            ("pods.cgroup_parent", cgroupParent), ("pods.seccomp_directory", seccompDirectory),
            ("network.cni_config_directory", network.cniConfigDirectory),
            ("network.conflist", network.conflist.isEmpty ? "/" : network.conflist),
            ("pods.criu", criu.isEmpty ? "/" : criu),
            ("images.logins", images.logins.isEmpty ? "/" : images.logins),
            ("nri.socket", nri.socket.isEmpty ? "/" : nri.socket),
            ("nri.plugin_directory", nri.pluginDirectory.isEmpty ? "/" : nri.pluginDirectory),
            ("nri.plugin_config_directory", nri.configurationDirectory),
        ] + lists {
            guard path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
                throw BerthError.invalid(field: field, value: path, rule: "must be an absolute path without ..")
            }
        }
        // sun_path of unix(7).
        for (field, path) in [("address", socket), ("nri.socket", nri.socket)] where path.utf8.count >= 108 {
            throw BerthError.invalid(field: field, value: path, rule: "is longer than a socket's path may be (107)")
        }
        for (field, seconds) in [
            ("nri.registration_timeout_seconds", nri.registrationSeconds),
            ("nri.request_timeout_seconds", nri.requestSeconds),
        ] where !(1...600).contains(seconds) {
            throw BerthError.invalid(field: field, value: seconds, rule: "must be from 1 to 600")
        }
        guard "\(state)/containers//monitor.sock".utf8.count + 64 < 4096 else {
            throw BerthError.invalid(field: "state", value: state, rule: "is too long")
        }
        guard (1...1 << 20).contains(sharedMemoryMegabytes) else {
            throw BerthError.invalid(
                field: "pods.shm_megabytes", value: sharedMemoryMegabytes, rule: "must be from 1 to 1048576")
        }
        guard (1...1024).contains(images.concurrentDownloads) else {
            throw BerthError.invalid(
                field: "images.concurrent_downloads", value: images.concurrentDownloads, rule: "must be from 1 to 1024")
        }
        guard criu.isEmpty || criu.hasSuffix("/criu") else {
            throw BerthError.invalid(
                field: "pods.criu", value: criu, rule: "must be a program named criu, as runtimes look for it")
        }
        guard !streaming.address.isEmpty else {
            throw BerthError.invalid(field: "streaming.address", value: "", rule: "must be an IP address")
        }
        guard (0...65535).contains(streaming.port) else {
            throw BerthError.invalid(field: "streaming.port", value: streaming.port, rule: "must be from 0 to 65535")
        }
        _ = try network.builtin()
        try images.registry().validate()
        _ = try images.snapshotterKind()
        do {
            try images.policy().validate()
            try images.thresholds?.validate()
        } catch {
            throw BerthError.wrapping(error, "images")
        }
    }

    func engine() -> EngineConfiguration {
        var configuration = EngineConfiguration(root: FilePath(root), state: FilePath(state))
        configuration.launcher = launcher.map { FilePath($0) }
        configuration.cgroupParent = cgroupParent
        configuration.usesSystemd = usesSystemd
        configuration.unsetSeccomp = unsetSeccomp
        configuration.seccompDirectory = FilePath(seccompDirectory)
        configuration.passedAnnotations = passedAnnotations
        configuration.cdiDirectories = cdiDirectories.map { FilePath($0) }
        configuration.hookDirectories = hookDirectories.map { FilePath($0) }
        configuration.criu = criu.isEmpty ? nil : FilePath(criu)
        configuration.restoresCheckpoints = restoresCheckpoints
        configuration.usesSELinux = usesSELinux
        configuration.runtimes = runtimes.mapValues { FilePath($0) }
        configuration.sharedMemorySize = UInt64(sharedMemoryMegabytes) << 20
        return configuration
    }
}

extension DaemonConfiguration.ImageSettings {
    /// - Returns: `nil` for the best that works on the host.
    func snapshotterKind() throws -> SnapshotterKind? {
        if snapshotter == Self.automaticSnapshotter { return nil }
        guard let kind = SnapshotterKind(rawValue: snapshotter) else {
            let known = [Self.automaticSnapshotter] + SnapshotterKind.allCases.map(\.rawValue)
            throw BerthError.invalid(
                field: "images.snapshotter", value: snapshotter, rule: "must be one of \(known.joined(separator: ", "))"
            )
        }
        return kind
    }

    /// `nil` where a kubelet, or nobody, looks after the disk.
    var thresholds: DiskThresholds? {
        reclaimAbove == 0 ? nil : DiskThresholds(high: reclaimAbove, low: reclaimTo)
    }

    func registry() -> RegistryClient.Configuration {
        var configuration = RegistryClient.Configuration()
        configuration.plainHTTP = Set(plainHTTP)
        configuration.insecureTLS = Set(insecureTLS)
        configuration.mirrors = mirrors
        configuration.hostsDirectories = hostsDirectories.map { FilePath($0) }
        configuration.concurrentDownloads = concurrentDownloads
        return configuration
    }

    func policy() -> ImagePolicy {
        var policy = ImagePolicy()
        policy.pinned = pinned
        policy.shortNameRegistry = shortNames.isEmpty ? nil : shortNames
        if !verifierDirectory.isEmpty {
            policy.verification = ImageVerification(directory: FilePath(verifierDirectory))
        }
        return policy
    }
}

extension DaemonConfiguration.PluginSettings {
    func host() -> PluginHostConfiguration {
        var configuration = PluginHostConfiguration()
        configuration.socket = socket.isEmpty ? nil : FilePath(socket)
        configuration.pluginDirectory = pluginDirectory.isEmpty ? nil : FilePath(pluginDirectory)
        configuration.configurationDirectory = FilePath(configurationDirectory)
        configuration.registrationTimeout = .seconds(registrationSeconds)
        configuration.requestTimeout = .seconds(requestSeconds)
        return configuration
    }
}
