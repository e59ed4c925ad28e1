internal import Core
@testable internal import Networking
internal import TestSupport
internal import Testing

@Suite(.enabled(if: Machine.isRoot, "needs root")) struct LinkDeletionTests {
    @Test func bothEndsAreGoneWhenItReturns() async throws {
        let (host, pod) = (try await TestNamespace(), try await TestNamespace())
        for number in 0..<20 {
            try await host.connect("out\(number)", "198.51.100.1/24", to: pod, "198.51.100.2/24")
            try await host.run {
                let routing = try RoutingSocket()
                try LinkDeletion.perform("out\(number)", over: routing)
                // An announcement of the bridge's, that it lost the port, is not that of the end.
                #expect(try routing.links().map(\.name).sorted() == ["br-out\(number)", "lo"])
                try LinkDeletion.perform("br-out\(number)", over: routing)
                try LinkDeletion.perform("br-out\(number)", over: routing)
            }
            #expect(try await host.links().isEmpty)
            #expect(try await pod.links().isEmpty)
        }
    }

    @Test func aRefusalIsToldWithItsReason() async throws {
        let host = try await TestNamespace()
        let error = try await host.run {
            #expect(throws: BerthError.self) { try LinkDeletion.perform("lo", over: RoutingSocket()) }
        }
        #expect(error?.message.hasPrefix("delete interface lo: ") == true, "\(error?.message ?? "none")")
    }
}
