// Measures pod start and ExecSync over a CRI socket; prints one JSON object of medians.
//
//     bench-cri SOCKET IMAGE PODS EXECS [CGROUP-PARENT]
//
// Part of hack/bench, which runs it against berthd and a peer in the same run.

internal import CRIAPI
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix

struct Sample {
    var start: [Double] = []
    var exec: [Double] = []
    var stop: [Double] = []
    var list: [Double] = []
}

/// Milliseconds that `body` takes.
func milliseconds(_ body: () async throws -> Void) async rethrows -> Double {
    let clock = ContinuousClock()
    let took = try await clock.measure { try await body() }
    return Double(took.components.seconds) * 1e3 + Double(took.components.attoseconds) / 1e15
}

func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    return sorted[sorted.count / 2]
}

func podConfiguration(_ index: Int, cgroupParent: String) -> Runtime_V1_PodSandboxConfig {
    .with {
        $0.metadata = .with {
            $0.name = "bench-\(index)"
            $0.namespace = "bench"
            $0.uid = "bench-\(index)-\(getpid())"
        }
        $0.hostname = "bench-\(index)"
        $0.linux = .with { $0.cgroupParent = cgroupParent }
    }
}

func containerConfiguration(_ image: String) -> Runtime_V1_ContainerConfig {
    .with {
        $0.metadata = .with { $0.name = "main" }
        $0.image = .with { $0.image = image }
        $0.command = ["/bin/sleep", "3600"]
    }
}

func measure(
    _ runtime: Runtime_V1_RuntimeService.Client<some ClientTransport>, image: String, pods: Int, execs: Int,
    cgroupParent: String, holding: @Sendable () async -> Void
) async throws -> Sample {
    var sample = Sample()
    var made: [String] = []
    for index in 0..<pods {
        let pod = podConfiguration(index, cgroupParent: cgroupParent)
        var container = ""
        sample.start.append(
            try await milliseconds {
                let sandbox = try await runtime.runPodSandbox(.with { $0.config = pod }).podSandboxID
                made.append(sandbox)
                container = try await runtime.createContainer(
                    .with {
                        $0.podSandboxID = sandbox
                        $0.config = containerConfiguration(image)
                        $0.sandboxConfig = pod
                    }
                ).containerID
                _ = try await runtime.startContainer(.with { $0.containerID = container })
            })
        for _ in 0..<(index == 0 ? execs : 0) {
            let id = container
            sample.exec.append(
                try await milliseconds {
                    _ = try await runtime.execSync(
                        .with {
                            $0.containerID = id
                            $0.cmd = ["/bin/true"]
                            $0.timeout = 10
                        })
                })
        }
    }
    for _ in 0..<20 {
        sample.list.append(try await milliseconds { _ = try await runtime.listContainers(.init()) })
    }
    await holding()
    for sandbox in made {
        sample.stop.append(
            try await milliseconds {
                _ = try await runtime.stopPodSandbox(.with { $0.podSandboxID = sandbox })
                _ = try await runtime.removePodSandbox(.with { $0.podSandboxID = sandbox })
            })
    }
    return sample
}

let arguments = CommandLine.arguments
guard arguments.count >= 5, let pods = Int(arguments[3]), let execs = Int(arguments[4]) else {
    FileHandle.standardError.write(Data("usage: bench-cri SOCKET IMAGE PODS EXECS [CGROUP-PARENT]\n".utf8))
    exit(2)
}
let transport = try HTTP2ClientTransport.Posix(
    target: .unixDomainSocket(path: arguments[1]), transportSecurity: .plaintext)
let sample = try await withGRPCClient(transport: transport) { client in
    try await measure(
        Runtime_V1_RuntimeService.Client(wrapping: client), image: arguments[2], pods: pods, execs: execs,
        cgroupParent: arguments.count > 5 ? arguments[5] : "/berth-bench"
    ) {
        // hack/bench weighs the processes while the pods run: it writes a line when it is done.
        FileHandle.standardOutput.write(Data("holding\n".utf8))
        _ = readLine()
    }
}
let fields = [
    ("start_ms", median(sample.start)), ("exec_ms", median(sample.exec)), ("remove_ms", median(sample.stop)),
    ("list_ms", median(sample.list)),
]
print("{" + fields.map { "\"\($0.0)\": \(String(format: "%.3f", $0.1))" }.joined(separator: ", ") + "}")
