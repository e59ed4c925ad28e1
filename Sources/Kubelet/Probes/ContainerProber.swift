internal import Foundation
internal import Logging

/// Runs the probes of one running container until it is cancelled: the startup probe first, then the others beside each
/// other.
struct ContainerProber: Sendable {
    let runner: ActionRunner
    let container: Container
    let startedAt: Date
    let log: Logger
    /// Takes each change of a probe's state.
    let report: @Sendable (ProbeTracker.Kind, ProbeTracker.State) async -> Void

    func run() async {
        if let startup = container.startupProbe {
            let passed = await run(.startup, startup, until: { $0 == .passing })
            guard passed else { return }
        }
        await withTaskGroup(of: Void.self) { group in
            if let liveness = container.livenessProbe { group.addTask { _ = await run(.liveness, liveness) } }
            if let readiness = container.readinessProbe { group.addTask { _ = await run(.readiness, readiness) } }
        }
    }

    /// - Returns: whether `goal` was reached; a failed startup or liveness probe ends the loop, since the container is
    ///   stopped for it.
    private func run(
        _ kind: ProbeTracker.Kind, _ probe: Probe, until goal: (ProbeTracker.State) -> Bool = { _ in false }
    ) async -> Bool {
        var tracker = ProbeTracker(kind, probe)
        let first = startedAt + Double(probe.initialDelaySeconds ?? 0)
        try? await Task.sleep(for: .seconds(max(first.timeIntervalSinceNow, 0)))
        let period = Double(probe.periodSeconds ?? 10)
        while !Task.isCancelled {
            let began = Date()
            do {
                let outcome = try await runner.probe(probe)
                guard !Task.isCancelled else { return false }
                if case .failure(let message) = outcome {
                    log.debug("\(kind.rawValue) probe of \(container.name) failed: \(message)")
                }
                if let state = tracker.record(outcome) {
                    if case .failing(let message) = state {
                        log.warning("\(kind.rawValue) probe of container \(container.name) fails: \(message)")
                    }
                    await report(kind, state)
                    if goal(state) { return true }
                    if case .failing = state, kind != .readiness { return false }
                }
            } catch {
                // The runtime could not say: neither a success nor a failure of the container.
                log.debug("\(kind.rawValue) probe of \(container.name) gave no result: \(error)")
            }
            try? await Task.sleep(for: .seconds(max(period - Date().timeIntervalSince(began), 0)))
        }
        return false
    }
}
