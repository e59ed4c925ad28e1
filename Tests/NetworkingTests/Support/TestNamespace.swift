internal import Glibc
internal import LinuxKernel
@testable internal import Networking
internal import SystemPackage

/// A network namespace of a test's own: it lives as long as this does, and never longer than the test's process.
final class TestNamespace: Sendable {
    let descriptor: OwnedDescriptor

    init() async throws {
        let own = try Syscall.open("/proc/self/ns/net", [.readOnly])
        descriptor = try await NamespaceThread.run(in: own.fd, type: .network) {
            try Syscall.unshare(.network)
            let made = try Syscall.open("/proc/thread-self/ns/net", [.readOnly])
            try RoutingSocket().perform(.setUp(1, name: "lo"))
            return made
        }
    }

    /// What other processes can open too.
    var path: FilePath { FilePath("/proc/\(getpid())/fd/\(descriptor.rawValue)") }

    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await NamespaceThread.run(in: descriptor.fd, type: .network, body)
    }

    /// Names of the interfaces, but the loopback.
    func links() async throws -> [String] {
        try await run { try RoutingSocket().links().map(\.name).filter { $0 != "lo" }.sorted() }
    }

    func addresses(of name: String) async throws -> [String] {
        try await run {
            let socket = try RoutingSocket()
            guard let link = try socket.link(named: name) else { return [] }
            return try socket.addresses(of: link.index).map(\.description).filter { !$0.hasPrefix("fe80:") }.sorted()
        }
    }

    /// The elements of nft's table berth; `nil` without the table.
    func elements() async throws -> [Ruleset.Element]? {
        try await run {
            guard let json = try? NFTables.run(RulesetListing.command, json: true) else { return nil }
            return try RulesetListing.elements(json)
        }
    }

    /// Starts a program here.
    func start(_ command: String..., output: FileDescriptor? = nil) async throws -> ChildProcess {
        let null = try Syscall.open("/dev/null", [.readWrite])
        let target = output ?? null.fd
        return try await run {
            try Spawn.spawn(
                executable: FilePath(command[0]), arguments: command,
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                descriptors: [(null.fd, 0), (target, 1), (null.fd, 2)])
        }
    }

    /// The body that a web server sends; `nil` for none within a second.
    func fetch(_ url: String) async throws -> String? {
        let (read, write) = try Syscall.pipe()
        let child = try await start("/usr/bin/curl", "-sfgm", "1", url, output: write.fd)
        write.close()
        let status = try await child.wait()
        let bytes = try Files.read(read.fd, limit: 1 << 16)
        guard status == .exited(0) else { return nil }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
    }

    /// Joins this namespace and another with a pair of interfaces that have these addresses.
    func connect(_ name: String, _ address: String, to other: TestNamespace, _ otherAddress: String) async throws {
        try await run {
            let socket = try RoutingSocket()
            try socket.perform(.addBridge("br-\(name)", mtu: nil, address: [2, 0, 0, 0, 0, UInt8.random(in: 0...255)]))
            let bridge = try socket.link(named: "br-\(name)")
            try socket.perform(
                .addVeth(
                    name, master: bridge?.index ?? 0, mtu: nil, peer: "up0", peerNamespace: other.descriptor.rawValue))
            try socket.perform(
                .setUp("br-\(name)"), .setUp(name),
                .addAddress(IPAddressPrefix(address), to: bridge?.index ?? 0, name: name))
        }
        try await other.run {
            let socket = try RoutingSocket()
            guard let link = try socket.link(named: "up0") else { return }
            try socket.perform(
                .setUp("up0"), .addAddress(IPAddressPrefix(otherAddress), to: link.index, name: "up0"))
        }
    }
}

/// A web server in a namespace that answers with the address of who asks.
final class EchoServer {
    private let process: ChildProcess

    init(in namespace: TestNamespace, port: Int, root: FilePath) async throws {
        process = try await namespace.start(
            "/bin/busybox", "httpd", "-f", "-p", "[::]:\(port)", "-h", root.string)
    }

    deinit {
        try? process.signal(SIGKILL)
        _ = try? process.waitBlocking()
    }
}

/// What this machine's kernel and user can do.
enum Machine {
    static let isRoot = geteuid() == 0

    /// Why nft rules cannot be tested here; `nil` where they can.
    static let filterProblem: String? = {
        guard isRoot, let own = try? Syscall.open("/proc/self/ns/net", [.readOnly]) else { return "not root" }
        do {
            try NamespaceThread.runBlocking(in: own.fd, type: .network) {
                try Syscall.unshare(.network)
                _ = try NFTables.run(Ruleset.base)
            }
            return nil
        } catch {
            return "nf_tables does not work here: \(error)"
        }
    }()

    static let hasPlugins = Files.exists("/usr/lib/cni/bridge")
}
