// Drives a CRI socket for hack/bench and hack/soak: latencies and rates, or thousands of pods and sessions with a look at what
// is left of them. Against berthd and a peer in the same run; not installed.

internal import ArgumentParser
internal import CRIAPI
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import SocketTransport

@main struct BenchCRI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-cri", abstract: "Measure or soak a CRI runtime.", subcommands: [Measure.self, Soak.self])
}

/// What both modes need to know.
struct Target: ParsableArguments {
    @Option(help: "The runtime's socket.") var socket: String
    @Option(help: "An image that is present, with /bin/sleep and /bin/true.") var image: String
    @Option(help: "The process of the runtime.") var daemon: Int32
    @Option(help: "Parent of the pods' cgroups.") var cgroupParent = "/berth-bench"

    func withRuntime<Result: Sendable>(
        _ body: @Sendable @escaping (Pods) async throws -> Result
    ) async throws -> Result {
        // A runtime that does not answer ends the run, with the call that it left open.
        let everyCall = MethodConfig(names: [.init(service: "", method: "")], timeout: .seconds(120))
        // Its own wake-ups would be a good part of what is measured.
        let loop = GRPCLoop()
        let transport = try SocketTransport.client(
            socket, on: loop, serviceConfig: ServiceConfig(methodConfig: [everyCall]))
        return try await loop.run {
            try await withGRPCClient(transport: transport) { client in
                try await body(
                    Pods(
                        runtime: .init(wrapping: client), image: image, cgroupParent: cgroupParent,
                        mark: "\(getpid())"))
            }
        }
    }
}

/// Of standard input, on a thread that has nothing else to do: the connection is to be heard meanwhile.
func waitForLine() async {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            _ = readLine()
            continuation.resume()
        }
    }
}
