internal import Core
internal import LinuxKernel
internal import SystemPackage

/// Directories like containerd's `/etc/containerd/certs.d`: for each registry one with a `hosts.toml`, or with certificates alone in
/// Docker's layout (`*.crt`, `*.cert`, `*.key`).
///
/// They are read for each pull, so a change needs no restart.
struct HostsDirectory: Sendable {
    let roots: [FilePath]

    /// The hosts for a registry; `nil` where no directory is there for it.
    ///
    /// - Throws: `BerthError` that names the file and what is wrong in it. A file that cannot be understood is never passed
    ///   over: it may be what keeps a registry from being asked.
    func hosts(of domain: String, _ configuration: RegistryClient.Configuration) throws -> [RegistryHost]? {
        for root in roots {
            for name in Self.names(of: domain) {
                let directory = root.appending(name)
                guard let status = try? Syscall.stat(directory, follow: true), status.kind == .directory else {
                    continue
                }
                return try read(directory, domain, configuration)
            }
        }
        return nil
    }

    /// `HOST_PORT_`, `HOST:PORT`, and what serves for every registry.
    private static func names(of domain: String) -> [String] {
        var names = [domain, "_default"]
        if let colon = domain.lastIndex(of: ":") {
            names.insert("\(domain[..<colon])_\(domain[domain.index(after: colon)...])_", at: 0)
        }
        return names.filter { !$0.contains("/") && $0 != ".." }
    }

    private func read(
        _ directory: FilePath, _ domain: String, _ configuration: RegistryClient.Configuration
    ) throws -> [RegistryHost] {
        let path = directory.appending("hosts.toml")
        var file: HostsFile
        do {
            let bytes = try Files.read(path, limit: HostsFile.sizeLimit)
            file = try HostsFile(String(decoding: bytes, as: UTF8.self))
        } catch Errno.noSuchFileOrDirectory {
            file = try HostsFile("")
            (file.server.authorities, file.server.clients) = try Self.certificates(in: directory)
        } catch {
            throw BerthError.wrapping(error, "\(path)")
        }
        do {
            let upstream = try Self.upstream(file.server, domain, configuration, directory)
            let mirrors = try file.hosts.map { entry in
                var host = try RegistryHost(mirror: entry.address, configuration: configuration)
                try Self.apply(entry, to: &host, directory)
                // The registry itself, listed among its mirrors, is still the registry.
                host.isMirror = host.origin != upstream.origin
                host.domain = domain
                return host
            }
            return mirrors + [upstream]
        } catch {
            throw BerthError.wrapping(error, "\(path)")
        }
    }

    private static func upstream(
        _ entry: HostsFile.Entry, _ domain: String, _ configuration: RegistryClient.Configuration,
        _ directory: FilePath
    ) throws -> RegistryHost {
        var host = RegistryHost(domain: domain, configuration: configuration)
        if !entry.address.isEmpty {
            host = try RegistryHost(mirror: entry.address, configuration: configuration)
            host.isMirror = false
        } else if host.isPlain, !entry.authorities.isEmpty || !entry.clients.isEmpty || entry.skipVerify != nil,
            !configuration.plainHTTP.contains(domain)
        {
            // Certificates for a registry of this machine mean that it has TLS.
            host = host.encrypted
        }
        try apply(entry, to: &host, directory)
        host.domain = domain
        return host
    }

    private static func apply(_ entry: HostsFile.Entry, to host: inout RegistryHost, _ directory: FilePath) throws {
        host.capabilities = entry.capabilities
        host.headers = entry.headers
        host.overridesPath = entry.overridesPath
        host.dialTimeout = entry.dialTimeout
        host.trust.authorities = try entry.authorities.map { try load($0, directory) }
        if let skip = entry.skipVerify { host.trust.skipsVerification = skip }
        // One certificate is what a connection shows; containerd lets the server choose among several.
        if let pair = entry.clients.first {
            let certificate = try load(pair[0], directory)
            host.trust.identity = .init(
                certificate: certificate, key: pair.count > 1 ? try load(pair[1], directory) : certificate)
        }
        _ = try host.trust.configuration()
    }

    private static func load(_ name: String, _ directory: FilePath) throws -> [UInt8] {
        let path = name.hasPrefix("/") ? FilePath(name) : directory.pushing(FilePath(name))
        do {
            return try Files.read(path, limit: HostsFile.sizeLimit)
        } catch {
            throw BerthError(.invalidArgument, "read \(path)", cause: error)
        }
    }

    private static func certificates(in directory: FilePath) throws -> (authorities: [String], clients: [[String]]) {
        let names = try Files.list(directory).sorted()
        let clients = names.filter { $0.hasSuffix(".cert") }.map { name in
            let key = name.dropLast(5) + ".key"
            return names.contains(String(key)) ? [name, String(key)] : [name]
        }
        return (names.filter { $0.hasSuffix(".crt") }, clients)
    }
}
