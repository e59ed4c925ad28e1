import ContainerdAPI
import Core
import Engine
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import TestSupport
import Testing

@testable import ContainerdServer

/// What containerd's Go client relies on, which no ctr of Debian shows.
@Suite("containerd's client") struct ClientTests {
    typealias Writes = Containerd_Services_Content_V1_WriteContentRequest
    typealias Answers = Containerd_Services_Content_V1_WriteContentResponse

    private func connected<Value: Sendable>(
        _ body: @escaping @Sendable (TestDaemon, GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws -> Value {
        try await TestDaemon.run { daemon in
            try await withGRPCClient(
                transport: .http2NIOPosix(
                    target: .unixDomainSocket(path: daemon.socket), transportSecurity: .plaintext)
            ) { try await body(daemon, $0) }
        }
    }

    private static let metadata: Metadata = ["containerd-namespace": "default"]

    /// One write's messages and their answers; the error that ends it.
    private func write(
        _ client: GRPCClient<HTTP2ClientTransport.Posix>, _ messages: [Writes]
    ) async throws -> (answers: [Answers], error: RPCError?) {
        let content = Containerd_Services_Content_V1_Content.Client(wrapping: client)
        return try await content.write(metadata: Self.metadata) { writer in
            for message in messages { try await writer.write(message) }
        } onResponse: { response in
            var answers: [Answers] = []
            do {
                for try await answer in response.messages { answers.append(answer) }
                return (answers, nil)
            } catch let error as RPCError {
                return (answers, error)
            }
        }
    }

    private func message(
        _ action: Containerd_Services_Content_V1_WriteAction, _ change: (inout Writes) -> Void = { _ in }
    )
        -> Writes
    {
        .with {
            $0.action = action
            $0.ref = "r"
            change(&$0)
        }
    }

    @Test func theDaemonSaysThatItServes() async throws {
        try await connected { _, client in
            let health = Grpc_Health_V1_Health.Client(wrapping: client)
            #expect(try await health.check(.init()).status == .serving)
            let unknown = await #expect(throws: RPCError.self) {
                try await health.check(.with { $0.service = "no.such.Service" })
            }
            #expect(unknown?.code == .notFound)
            let first = try await health.watch(.init()) { response in
                for try await answer in response.messages { return answer.status }
                return .unknown
            }
            #expect(first == .serving)
        }
    }

    @Test func eachAnswerToAWriteHasTheDigestOfWhatIsWritten() async throws {
        try await connected { _, client in
            let bytes = Data("hello".utf8)
            let (answers, error) = try await write(
                client,
                [
                    message(.stat), message(.write) { $0.data = bytes },
                    message(.commit) {
                        $0.offset = 5
                        $0.total = 5
                    },
                ])
            #expect(error == nil)
            let (empty, whole) = (try Digest.of([]).description, try Digest.of(Array(bytes)).description)
            #expect(answers.map(\.digest) == [empty, whole, whole])
        }
    }

    @Test func whatCouldNotBeCommittedIsKept() async throws {
        try await connected { daemon, client in
            let wrong = try Digest.of([9]).description
            let (_, error) = try await write(
                client,
                [
                    message(.write) { $0.data = Data([1, 2, 3]) },
                    message(.commit) {
                        $0.offset = 3
                        $0.expected = wrong
                    },
                ])
            #expect(error?.code == .failedPrecondition)
            try await eventually("the reference to be free") {
                let (answers, _) = try await write(client, [message(.stat)])
                return answers.first?.offset == 3
            }
            try await eventually("the reference to be free") {
                try await write(client, [message(.commit) { $0.offset = 3 }]).error == nil
            }
            #expect(try await daemon.ctr("content", "ls", "-q") == "\(try Digest.of([1, 2, 3]))\n")
        }
    }

    @Test func aReadThatAsksForMoreThanThereIsGetsWhatThereIs() async throws {
        try await connected { _, client in
            _ = try await write(
                client,
                [
                    message(.write) { $0.data = Data([1, 2, 3]) }, message(.commit) { $0.offset = 3 },
                ])
            let content = Containerd_Services_Content_V1_Content.Client(wrapping: client)
            let read = { (offset: Int64, size: Int64) in
                try await content.read(
                    .with {
                        $0.digest = try Digest.of([1, 2, 3]).description
                        $0.offset = offset
                        $0.size = size
                    }, metadata: Self.metadata
                ) { response in
                    var bytes: [UInt8] = []
                    for try await part in response.messages { bytes += part.data }
                    return bytes
                }
            }
            #expect(try await read(0, 7) == [1, 2, 3])
            #expect(try await read(1, 1) == [2])
            #expect(try await read(3, 5) == [])
            let error = await #expect(throws: RPCError.self) { try await read(4, 0) }
            #expect(error?.code == .outOfRange)
        }
    }

    @Test func aCommittedSnapshotIsNewAndALeaseThatIsGoneDoesNotHideIt() async throws {
        try await connected { _, client in
            let snapshots = Containerd_Services_Snapshots_V1_Snapshots.Client(wrapping: client)
            _ = try await snapshots.prepare(
                .with {
                    $0.snapshotter = "overlayfs"
                    $0.key = "a"
                }, metadata: Self.metadata)
            _ = try await snapshots.commit(
                .with {
                    $0.snapshotter = "overlayfs"
                    $0.key = "a"
                    $0.name = "c"
                }, metadata: Self.metadata)
            var metadata = Self.metadata
            metadata.addString("gone", forKey: "containerd-lease")
            let info = try await snapshots.stat(
                .with {
                    $0.snapshotter = "overlayfs"
                    $0.key = "c"
                }, metadata: metadata
            ).info
            #expect(info.createdAt == info.updatedAt)
            let error = await #expect(throws: RPCError.self) {
                try await snapshots.prepare(
                    .with {
                        $0.snapshotter = "overlayfs"
                        $0.key = "b"
                    }, metadata: metadata)
            }
            #expect(error?.code == .notFound)
        }
    }

    @Test func everySnapshotterThatCanBeUsedIsAmongThePlugins() async throws {
        try await TestDaemon.run { daemon in
            let plugins = try await daemon.ctr("plugins", "ls")
            #expect(plugins.contains(/io.containerd.snapshotter.v1\s+overlayfs/))
            #expect(plugins.contains(/io.containerd.snapshotter.v1\s+native/))
        }
    }
}
