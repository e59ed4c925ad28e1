internal import CRIAPI
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Synchronization

/// Pods of one container, that sleeps.
struct Pods: Sendable {
    struct Pod: Sendable {
        var sandbox: String
        var container: String
    }

    let runtime: Runtime_V1_RuntimeService.Client<HTTP2ClientTransport.Posix>
    let image: String
    let cgroupParent: String
    let mark: String

    func configuration(_ name: String) -> Runtime_V1_PodSandboxConfig {
        .with {
            $0.metadata = .with {
                $0.name = name
                $0.namespace = "bench"
                $0.uid = "\(name)-\(mark)"
            }
            $0.hostname = name
            $0.linux = .with {
                $0.cgroupParent = cgroupParent
                $0.securityContext.namespaceOptions = namespaces
            }
        }
    }

    /// What a kubelet asks for: PIDs are each container's own.
    private var namespaces: Runtime_V1_NamespaceOption { .with { $0.pid = .container } }

    var container: Runtime_V1_ContainerConfig {
        .with {
            $0.metadata = .with { $0.name = "main" }
            $0.image = .with { $0.image = image }
            $0.command = ["/bin/sleep", "36000"]
            $0.linux.securityContext.namespaceOptions = namespaces
        }
    }

    /// Runs a pod and starts its container; the times of the three calls go to `times`.
    func start(_ name: String, _ times: Latencies? = nil) async throws -> Pod {
        let config = configuration(name)
        let container = container
        let sandbox = try await timed("RunPodSandbox", times) {
            try await runtime.runPodSandbox(.with { $0.config = config }).podSandboxID
        }
        let id = try await timed("CreateContainer", times) {
            try await runtime.createContainer(
                .with {
                    $0.podSandboxID = sandbox
                    $0.config = container
                    $0.sandboxConfig = config
                }
            ).containerID
        }
        _ = try await timed("StartContainer", times) {
            try await runtime.startContainer(.with { $0.containerID = id })
        }
        return Pod(sandbox: sandbox, container: id)
    }

    func exec(_ pod: Pod, _ times: Latencies? = nil) async throws {
        let answer = try await timed("ExecSync", times) {
            try await runtime.execSync(
                .with {
                    $0.containerID = pod.container
                    $0.cmd = ["/bin/true"]
                    $0.timeout = 30
                })
        }
        guard answer.exitCode == 0 else { throw Failure("ExecSync of /bin/true answered \(answer.exitCode)") }
    }

    /// Stops and removes container and pod, as a kubelet does.
    func remove(_ pod: Pod, _ times: Latencies? = nil) async throws {
        _ = try await timed("StopContainer", times) {
            try await runtime.stopContainer(.with { $0.containerID = pod.container })
        }
        _ = try await timed("RemoveContainer", times) {
            try await runtime.removeContainer(.with { $0.containerID = pod.container })
        }
        _ = try await timed("StopPodSandbox", times) {
            try await runtime.stopPodSandbox(.with { $0.podSandboxID = pod.sandbox })
        }
        _ = try await timed("RemovePodSandbox", times) {
            try await runtime.removePodSandbox(.with { $0.podSandboxID = pod.sandbox })
        }
    }

    func timed<Result>(_ name: String, _ times: Latencies?, _ body: () async throws -> Result) async throws -> Result {
        let start = ContinuousClock.now
        do {
            let result = try await body()
            times?.add(name, ContinuousClock.now - start)
            return result
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw Failure("\(name) after \(Int((ContinuousClock.now - start).milliseconds)) ms: \(error)")
        }
    }
}

/// Runs `body` for each number below `count`, so many at a time.
func inParallel(_ count: Int, workers: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        var next = 0
        while next < min(workers, count) {
            let number = next
            group.addTask { try await body(number) }
            next += 1
        }
        while try await group.next() != nil {
            guard next < count else { continue }
            let number = next
            group.addTask { try await body(number) }
            next += 1
        }
    }
}

/// Times of calls, by name.
final class Latencies: Sendable {
    private let samples = Mutex<[String: [Double]]>([:])

    func add(_ name: String, _ took: Duration) {
        samples.withLock { $0[name, default: []].append(took.milliseconds) }
    }

    /// `{"RunPodSandbox": {"p50": 4.1, "p99": 9.8}, ...}`, in milliseconds.
    var summary: [String: [String: Double]] {
        samples.withLock { samples in
            samples.mapValues { values in
                let sorted = values.sorted()
                func quantile(_ part: Double) -> Double { sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))] }
                return ["p50": quantile(0.5), "p99": quantile(0.99)]
            }
        }
    }
}

extension Duration {
    var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15 }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}
