import Core
import Store
import Testing

@testable import Engine

@Suite("Latch") struct LatchTests {
    @Test func whoWaitsIsWokenAndWhoComesLaterDoesNotWait() async throws {
        let latch = Latch()
        async let waiting: Void = latch.wait()
        latch.open()
        try await waiting
        try await latch.wait()
        #expect(await latch.wait(atMost: .seconds(10)))
    }

    @Test func aWaitEndsAfterItsLimit() async {
        let latch = Latch()
        #expect(!(await latch.wait(atMost: .milliseconds(20))))
        #expect(!(await latch.wait(atMost: .zero)))
    }

    @Test func aCancelledWaitThrows() async throws {
        let latch = Latch()
        let task = Task { try await latch.wait() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}

@Suite("Records") struct RecordsTests {
    @Test func aPodIsReadAsItWasWritten() throws {
        var pod = SpecFixture.pod {
            $0.dns = DNSConfig(servers: ["1.1.1.1"])
            $0.security.seccomp = .localhost("x.json")
            $0.portMappings = [PodPortMapping(transport: .sctp, containerPort: 1, hostPort: 2)]
        }
        pod.state = .notReady(since: 5, reason: "stopped")
        let read = try Records.pod(from: Records.record(of: pod))
        #expect(read.config == pod.config)
        #expect(read.state == pod.state)
        #expect(read.id == pod.id)
    }

    @Test func aNewerRecordIsRefusedAndNotMisread() throws {
        var record = try Records.record(of: SpecFixture.pod())
        record.version = 2
        #expect(throws: BerthError.self) { try Records.pod(from: record) }
        record.version = 1
        record.payload = Array("{}".utf8)
        #expect(try #require(throws: BerthError.self) { try Records.pod(from: record) }.code == .dataLoss)
    }
}

@Suite("Network devices") struct NetworkDeviceTableTests {
    @Test func theTableIsReadWithoutTheLoopback() {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
                lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
             veth1:      10       1    2    0    0     0          0         0       20       1    3    0    0     0       0          0
              eth0:    4242       9    0    0    0     0          0         0      777       7    0    0    0     0       0          0
            """
        let interfaces = NetworkDeviceTable.parse(text)
        #expect(interfaces.map(\.name) == ["eth0", "veth1"])
        #expect(interfaces.first?.receivedBytes == 4242)
        #expect(interfaces.first?.sentBytes == 777)
        #expect(interfaces.last?.sendErrors == 3)
    }
}
