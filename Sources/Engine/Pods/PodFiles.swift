internal import Core
internal import LinuxKernel
internal import SystemPackage

/// The text of a pod's /etc/hosts, /etc/hostname and /etc/resolv.conf.
enum PodFiles {
    /// resolv.conf(5) reads no more.
    private static let hostFileLimit = 1 << 20

    static func resolvConf(_ dns: DNSConfig?) throws -> String {
        guard let dns else { return host("/etc/resolv.conf") }
        for (field, values) in [("servers", dns.servers), ("searches", dns.searches), ("options", dns.options)] {
            for value in values where value.isEmpty || value.contains(where: \.isWhitespace) {
                throw BerthError.invalid(
                    field: "config.dns_config.\(field)", value: value, rule: "must be one word without spaces")
            }
        }
        var text = ""
        if !dns.searches.isEmpty { text += "search \(dns.searches.joined(separator: " "))\n" }
        for server in dns.servers { text += "nameserver \(server)\n" }
        if !dns.options.isEmpty { text += "options \(dns.options.joined(separator: " "))\n" }
        return text
    }

    static func hosts(hostNetwork: Bool, hostname: String, addresses: [String]) -> String {
        if hostNetwork { return host("/etc/hosts") }
        var text = """
            127.0.0.1 localhost
            ::1 localhost ip6-localhost ip6-loopback
            fe00::0 ip6-localnet
            ff02::1 ip6-allnodes
            ff02::2 ip6-allrouters

            """
        for address in addresses { text += "\(address) \(hostname)\n" }
        return text
    }

    private static func host(_ path: FilePath) -> String {
        (try? Files.read(path, limit: hostFileLimit)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
