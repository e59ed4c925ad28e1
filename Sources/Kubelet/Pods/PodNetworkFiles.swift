internal import CRIAPI
internal import Core

/// What a pod's `/etc/resolv.conf` and `/etc/hosts` hold.
struct PodNetworkFiles {
    let pod: Pod
    let configuration: KubeletConfiguration
    /// The text of the node's own resolv.conf.
    let hostResolvConf: String

    /// Limits of the C library that kubelets keep to.
    private static let maxServers = 3
    private static let maxSearches = 32

    func dns() -> Runtime_V1_DNSConfig {
        var config = Self.parse(hostResolvConf)
        switch effectivePolicy {
        case .none:
            config = Runtime_V1_DNSConfig()
        case .clusterFirst, .clusterFirstWithHostNet:
            let domain = configuration.clusterDomain
            config.servers = configuration.clusterDNS
            config.searches = ["\(pod.namespace).svc.\(domain)", "svc.\(domain)", domain] + config.searches
            config.options = ["ndots:5"]
        case .default:
            break
        }
        if let own = pod.spec.dnsConfig {
            config.servers += own.nameservers ?? []
            config.searches += own.searches ?? []
            config.options = Self.merge(config.options, own.options ?? [])
        }
        config.servers = Array(Self.unique(config.servers).prefix(Self.maxServers))
        config.searches = Array(Self.unique(config.searches).prefix(Self.maxSearches))
        return config
    }

    /// Cluster DNS needs servers to ask, and a pod on the host's network asks what the host asks.
    var effectivePolicy: DNSPolicy {
        let policy = pod.spec.dnsPolicy ?? .clusterFirst
        switch policy {
        case .none, .default: return policy
        case .clusterFirst where pod.usesHostNetwork: return .default
        default: return configuration.clusterDNS.isEmpty ? .default : policy
        }
    }

    static func parse(_ resolvConf: String) -> Runtime_V1_DNSConfig {
        var config = Runtime_V1_DNSConfig()
        for line in resolvConf.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let keyword = words.first else { continue }
            switch keyword {
            case "nameserver": config.servers += words.dropFirst().prefix(1)
            case "search", "domain": config.searches = Array(words.dropFirst())
            case "options": config.options = Array(words.dropFirst())
            default: break
            }
        }
        return config
    }

    private static func merge(_ options: [String], _ own: [PodDNSConfig.Option]) -> [String] {
        let replaced = Set(own.map(\.name))
        let kept = options.filter { option in !replaced.contains(String(option.prefix { $0 != ":" })) }
        return kept + own.map { option in option.value.map { "\(option.name):\($0)" } ?? option.name }
    }

    private static func unique(_ items: [String]) -> [String] {
        var seen: Set<String> = []
        return items.filter { seen.insert($0).inserted }
    }

    /// `HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN`, where the pod has a subdomain.
    var qualifiedHostname: String? {
        guard let subdomain = pod.spec.subdomain, !subdomain.isEmpty else { return nil }
        return "\(pod.hostname).\(subdomain).\(pod.namespace).svc.\(configuration.clusterDomain)"
    }

    /// What the UTS namespace is told.
    func hostname() throws -> String {
        guard pod.spec.setHostnameAsFQDN == true, let name = qualifiedHostname else { return pod.hostname }
        guard name.utf8.count <= 64 else {
            throw BerthError.invalid(
                field: "spec.setHostnameAsFQDN", value: name,
                rule: "makes a host name longer than the kernel's 64 bytes")
        }
        return name
    }

    func hosts(addresses: [String], hostFile: String) -> String {
        var text: String
        if pod.usesHostNetwork {
            text = "# The node's hosts file, and the pod's host aliases (written by berth-kubelet).\n" + hostFile
            if !text.hasSuffix("\n") { text += "\n" }
        } else {
            text = """
                # Written by berth-kubelet.
                127.0.0.1\tlocalhost
                ::1\tlocalhost ip6-localhost ip6-loopback
                fe00::0\tip6-localnet
                fe00::0\tip6-mcastprefix
                fe00::1\tip6-allnodes
                fe00::2\tip6-allrouters

                """
            let names = ([qualifiedHostname].compactMap { $0 } + [pod.hostname]).joined(separator: "\t")
            for address in addresses { text += "\(address)\t\(names)\n" }
        }
        let aliases = pod.spec.hostAliases ?? []
        if !aliases.isEmpty { text += "\n# Host aliases of the pod.\n" }
        for alias in aliases { text += ([alias.ip] + (alias.hostnames ?? [])).joined(separator: "\t") + "\n" }
        return text
    }
}
