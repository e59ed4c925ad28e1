internal import Core
internal import LinuxKernel
internal import SystemPackage

/// What the built-in network may do to one network namespace: the seam between its policy and the kernel.
protocol NetworkScope {
    var routing: any NetlinkChannel { get }

    /// Returns when no interface has this name; there may be none to begin with.
    func deleteLink(_ name: String) throws

    /// Runs nft commands as one transaction.
    func filter(_ commands: String, json: Bool) throws -> String

    /// - Parameter key: below /proc/sys/net: `ipv4/ip_forward`.
    func sysctl(_ key: String) throws -> String
    func setSysctl(_ key: String, _ value: String) throws
    /// The interfaces that have settings under `ipv6/conf`.
    func ipv6Interfaces() -> [String]
}

/// The namespaces that the built-in network works in.
protocol NetworkScopes: Sendable {
    func inHost<Result: Sendable>(
        _ body: @escaping @Sendable (any NetworkScope) throws -> Result
    ) async throws -> Result

    /// - Throws: `BerthError` (`notFound`) where nothing is pinned there.
    func open(_ namespace: FilePath) throws -> OwnedDescriptor

    func inside<Result: Sendable>(
        _ namespace: OwnedDescriptor, _ body: @escaping @Sendable (any NetworkScope) throws -> Result
    ) async throws -> Result
}

/// The kernel's namespaces, each visited on a thread of its own.
struct KernelScopes: NetworkScopes {
    let hostNamespace: FilePath

    func inHost<Result: Sendable>(
        _ body: @escaping @Sendable (any NetworkScope) throws -> Result
    ) async throws -> Result {
        try await inside(open(hostNamespace), body)
    }

    func open(_ namespace: FilePath) throws -> OwnedDescriptor {
        do throws(Errno) {
            return try Syscall.open(namespace, [.readOnly])
        } catch .noSuchFileOrDirectory {
            throw BerthError.notFound("network namespace", namespace.string)
        } catch {
            throw BerthError(.internal, "open the network namespace \(namespace)", cause: error)
        }
    }

    func inside<Result: Sendable>(
        _ namespace: OwnedDescriptor, _ body: @escaping @Sendable (any NetworkScope) throws -> Result
    ) async throws -> Result {
        do {
            return try await NamespaceThread.run(in: namespace.fd, type: .network) {
                defer { withExtendedLifetime(namespace) {} }
                return try body(KernelScope(routing: RoutingSocket()))
            }
        } catch let error as Errno {
            throw BerthError(.internal, "join a network namespace", cause: error)
        }
    }
}

private struct KernelScope: NetworkScope {
    let routing: any NetlinkChannel

    func deleteLink(_ name: String) throws {
        try LinkDeletion.perform(name, over: routing)
    }

    func filter(_ commands: String, json: Bool) throws -> String {
        try NFTables.run(commands, json: json)
    }

    // /proc/sys/net shows the namespace of the thread that looks.
    private func path(_ key: String) -> FilePath { FilePath("/proc/sys/net/\(key)") }

    func sysctl(_ key: String) throws -> String {
        do throws(Errno) { return try Files.readText(path(key)) } catch {
            throw BerthError(.internal, "read \(path(key))", cause: error)
        }
    }

    func setSysctl(_ key: String, _ value: String) throws {
        do throws(Errno) { try Files.writeKernelFile(path(key), value) } catch {
            throw BerthError(.internal, "write \(value) to \(path(key))", cause: error)
        }
    }

    func ipv6Interfaces() -> [String] {
        ((try? Files.list(path("ipv6/conf"))) ?? []).filter { $0 != "all" && $0 != "default" }
    }
}
