import Core
import Foundation
import Images
import LinuxKernel
import Logging
import Store
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// A daemon of this build takes over what release 0.1 started: its database (schema 1, records 1) and its monitors (protocol
/// 1), as Tests/Fixtures/Upgrade keeps them.
@Suite("Upgrade", .serialized) struct UpgradeSerialTests {
    private static let fixtures = FilePath(#filePath).removingLastComponent().removingLastComponent()
        .removingLastComponent().appending("Fixtures/Upgrade")
    private static let pod = "c96aca36a072b152e095b6c65225886a3b56cb322a3401efa101bb66b5b70c46"
    private static let container = "1aa36b8cae61683d3ff1d8a8b1533a964d206dd5122aed4513fc41bd355e5998"

    private func withOldNode(
        _ change: (inout [RecordedMonitor.Exchange]) -> Void = { _ in },
        _ body: (Engine, RecordedMonitor) async throws -> Void
    ) async throws {
        let scratch = try ScratchDirectory("upgrade")
        let root = try scratch.directory("root")
        let database = root.appending("meta.db").string
        let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())"
        try await Command.run(
            "/usr/bin/python3", ["-c", script, database, Self.fixtures.appending("database-1.sql").string])
        _ = try scratch.directory("run/pods/\(Self.pod)")
        let folder = try scratch.directory("run/containers/\(Self.container)")
        let text = try Files.readText(Self.fixtures.appending("monitor-1.txt"))
        var (exchanges, record) = RecordedMonitor.parse(text)
        change(&exchanges)
        let monitor = try RecordedMonitor(
            socket: folder.appending("monitor.sock"), exchanges: exchanges, exit: (folder.appending("exit.pb"), record))
        let store = try Store.Database(path: FilePath(database))
        let images = try ImageService(root: root, database: store, registry: RegistryClient())
        var configuration = EngineConfiguration(root: root, state: scratch.appending("run"))
        configuration.launcher = EngineFixture.launcher
        let engine = try await Engine(
            configuration: configuration, database: store, images: images, network: RecordingNetwork(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        try await body(engine, monitor)
        try await engine.abandon()
        monitor.close()
        try store.close()
    }

    @Test func aContainerOfTheFirstReleaseIsTakenOver() async throws {
        try await withOldNode { engine, monitor in
            let pod = try engine.podSandbox(Self.pod)
            #expect(pod.state == .ready)
            #expect(pod.config.labels == ["app": "old"])
            let container = try engine.container(Self.container)
            #expect(container.state == .running(startedAt: 1_795_794_598_303_456_004))
            #expect(container.config.command == ["/bin/sleep", "3600"])
            #expect(
                try await engine.images.allNamed(namespace: "k8s.io").map(\.name) == ["docker.io/library/busybox:old"])
            try await engine.reopenLog(of: Self.container)
            try await engine.stopContainer(Self.container, grace: .zero)
            let exit = try #require(try engine.container(Self.container).state.exit)
            #expect(exit.code == 137)
            #expect(exit.finishedAt == 1_795_794_601_260_504_157)
            #expect(monitor.unknown == [])
            try await engine.removePodSandbox(Self.pod)
            #expect(engine.podSandboxes().isEmpty)
        }
    }

    /// A daemon that is older than its monitors, after a rollback: it leaves them alone.
    @Test func aMonitorOfANewerProtocolIsNotTakenForDead() async throws {
        try await withOldNode({ exchanges in
            for index in exchanges.indices where exchanges[index].request == [0x3a, 0x00] {
                // State.protocol: 250.
                exchanges[index].reply = [0x1a, 0x08, 0x08, 0x01, 0x10, 0x86, 0x2e, 0x20, 0xfa, 0x01]
            }
        }) { (engine: Engine, monitor: RecordedMonitor) async throws -> Void in
            #expect(try engine.container(Self.container).state.isRunning)
            #expect(monitor.requests == [[0x3a, 0x00]])
        }
    }
}

/// A monitor's end of the protocol, out of what one once said.
private final class RecordedMonitor: Sendable {
    struct Exchange: Sendable {
        var request: [UInt8]
        var reply: [UInt8]
        var isLast: Bool
    }

    private let listener: OwnedDescriptor
    private let exchanges: [Exchange]
    private let exit: (path: FilePath, record: [UInt8])
    private let heard = Mutex<[[UInt8]]>([])
    private let connections = Mutex<[OwnedDescriptor]>([])

    var requests: [[UInt8]] { heard.withLock { $0 } }
    /// Requests that the recorded one never got.
    var unknown: [[UInt8]] { requests.filter { request in !exchanges.contains { $0.request == request } } }

    /// The exchanges of a container that runs, and the exit record.
    static func parse(_ text: String) -> ([Exchange], record: [UInt8]) {
        func bytes(_ text: Substring) -> [UInt8] { text.split(separator: " ").compactMap { UInt8($0, radix: 16) } }
        var exchanges: [Exchange] = []
        var record: [UInt8] = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let rest = line.drop { $0 != " " }
            if line.hasPrefix("written") { record = bytes(rest) }
            guard line.hasPrefix("running"), let arrow = rest.range(of: " -> ") else { continue }
            let request = bytes(rest[..<arrow.lowerBound])
            // A signal is what ends it.
            exchanges.append(
                Exchange(request: request, reply: bytes(rest[arrow.upperBound...]), isLast: request.first == 0x12))
        }
        return (exchanges, record)
    }

    init(socket: FilePath, exchanges: [Exchange], exit: (path: FilePath, record: [UInt8])) throws {
        self.exchanges = exchanges
        self.exit = exit
        listener = try Syscall.listen(socket, .sequencedPacket)
        Thread.detachNewThread { [self] in
            while let connection = try? Syscall.accept(listener.fd) {
                connections.withLock { $0.append(connection) }
                Thread.detachNewThread { [self] in serve(connection) }
            }
        }
    }

    private func serve(_ connection: OwnedDescriptor) {
        while let packet = try? Syscall.receive(from: connection.fd, limit: 1 << 16), !packet.bytes.isEmpty {
            heard.withLock { $0.append(packet.bytes) }
            guard let exchange = exchanges.first(where: { $0.request == packet.bytes }) else { continue }
            _ = try? Syscall.send(exchange.reply, to: connection.fd)
            guard exchange.isLast else { continue }
            // As a monitor ends: the record, then everyone hears of it by the end of their connection.
            try? Files.writeAtomically(exit.path, exit.record)
            close()
            return
        }
    }

    func close() {
        shutdown(listener.rawValue, Int32(SHUT_RDWR))
        for connection in connections.withLock({ $0 }) { shutdown(connection.rawValue, Int32(SHUT_RDWR)) }
    }
}
