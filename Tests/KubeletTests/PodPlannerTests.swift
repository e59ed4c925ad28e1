internal import Foundation
internal import Testing

@testable internal import Kubelet

/// A small language for what the runtime has: `web:running`, `web:exit1@5` (ended 5 s ago), `#2` for the attempt.
private struct Scene {
    static let now = Date(timeIntervalSince1970: 1_000_000)

    static func container(_ text: String, sandbox: String = "s0") -> ObservedContainer {
        let parts = text.split(separator: ":")
        let name = parts[0].split(separator: "#")
        let state = parts[1].split(separator: "@")
        let age = state.count > 1 ? Double(state[1]) ?? 0 : 1
        let attempt = name.count > 1 ? UInt32(name[1]) ?? 0 : 0
        var result = ObservedContainer(
            id: "\(name[0])-\(attempt)-\(sandbox)", name: String(name[0]), attempt: attempt, sandboxID: sandbox,
            state: .running, createdAt: now - age - 1)
        if state[0].hasPrefix("exit") {
            result.state = .exited
            result.exitCode = Int32(state[0].dropFirst(4)) ?? 0
            result.finishedAt = now - age
        } else if state[0] == "created" {
            result.state = .created
        } else if state[0] == "unknown" {
            result.state = .unknown
        }
        return result
    }

    static func observed(_ containers: [String], ready: Bool = true, old: [String] = []) -> PodObservation {
        var observation = PodObservation(
            sandboxes: [ObservedSandbox(id: "s0", attempt: old.isEmpty ? 0 : 1, isReady: ready, createdAt: now - 100)],
            containers: containers.map { container($0) } + old.map { container($0, sandbox: "old") })
        if !old.isEmpty {
            observation.sandboxes.append(ObservedSandbox(id: "old", attempt: 0, isReady: false, createdAt: now - 200))
        }
        observation.sort()
        return observation
    }

    static func started(_ observation: PodObservation) -> PodMemory {
        var memory = PodMemory()
        for container in observation.containers where container.state == .running {
            memory.verdicts[container.id] = .init(started: true, ready: true)
        }
        return memory
    }
}

extension PodAction {
    /// Short enough for tables: `start web#1`.
    fileprivate var text: String {
        switch self {
        case .createSandbox(let attempt): "sandbox#\(attempt)"
        case .stopSandbox(let id): "stopSandbox \(id)"
        case .removeSandbox(let id): "removeSandbox \(id)"
        case .start(let name, let attempt, _, _): "start \(name)#\(attempt)"
        case .stop(let id, _, let grace, _): "stop \(id) \(grace)"
        case .remove(let id): "remove \(id)"
        }
    }
}

@Suite("The pod planner")
struct PodPlannerTests {
    private func plan(
        _ yaml: String, _ observed: PodObservation, memory: PodMemory? = nil
    ) throws -> (actions: [String], decision: PodDecision) {
        let decision = PodPlanner.decide(
            try pod(yaml), observed, memory ?? Scene.started(observed), now: Scene.now, timing: .init())
        return (decision.actions.map(\.text), decision)
    }

    @Test("begins with a sandbox") func sandbox() throws {
        #expect(try plan(simplePod(), PodObservation()).actions == ["sandbox#0"])
    }

    @Test(
        "brings up containers in order",
        arguments: [
            ([], ["start i1#0"]),
            (["i1:running"], []),
            (["i1:exit0"], ["start side#0"]),
            (["i1:exit1@1"], ["start i1#1"]),
            (["i1:exit0", "side:running"], ["start i2#0"]),
            (["i1:exit0", "side:running", "i2:running"], []),
            (["i1:exit0", "side:exit1", "i2:running"], ["start side#1"]),
            (["i1:exit0", "side:running", "i2:exit0"], ["start a#0", "start b#0"]),
            (["i1:exit0", "side:running", "i2:exit0", "a:running"], ["start b#0"]),
            (["side:running", "a:running", "b:running"], []),
            (["side:exit0", "a:running", "b:exit3"], ["start side#1", "start b#1"]),
            (["i1:created"], ["remove i1-0-s0", "start i1#0"]),
            (["side:running", "a:unknown", "b:running"], ["stop a-0-s0 30"]),
        ] as [([String], [String])])
    func order(observed: [String], expected: [String]) throws {
        let yaml = simplePod(["a", "b"], initContainers: ["i1", sidecar("side"), "i2"])
        #expect(try plan(yaml, Scene.observed(observed)).actions == expected)
    }

    @Test("waits for a sidecar's startup probe") func sidecarStartup() throws {
        let yaml = simplePod(["a"], initContainers: [sidecar("side")])
        let observed = Scene.observed(["side:running"])
        var memory = PodMemory()
        memory.verdicts["side-0-s0"] = .init(started: false)
        #expect(try plan(yaml, observed, memory: memory).actions == [])
        memory.verdicts["side-0-s0"]?.started = true
        #expect(try plan(yaml, observed, memory: memory).actions == ["start a#0"])
    }

    @Test(
        "restarts by policy",
        arguments: [
            ("Always", "a:exit0", ["start a#1"]), ("Always", "a:exit1", ["start a#1"]),
            ("OnFailure", "a:exit1", ["start a#1"]), ("OnFailure", "a:exit0", ["stopSandbox s0"]),
            ("Never", "a:exit1", ["stopSandbox s0"]), ("Never", "a:exit0", ["stopSandbox s0"]),
        ])
    func policy(policy: String, observed: String, expected: [String]) throws {
        #expect(try plan(simplePod(["a"], policy: policy), Scene.observed([observed])).actions == expected)
    }

    @Test("leaves alone what has ended while others run") func partial() throws {
        #expect(
            try plan(simplePod(["a", "b"], policy: "Never"), Scene.observed(["a:exit1", "b:running"])).actions == [])
    }

    @Test("fails the pod of a failed init container only with policy Never") func failedInit() throws {
        let observed = Scene.observed(["i:exit1"])
        #expect(
            try plan(simplePod(["a"], policy: "Never", initContainers: ["i"]), observed).actions == ["stopSandbox s0"])
        #expect(
            try plan(simplePod(["a"], policy: "OnFailure", initContainers: ["i"]), observed).actions == ["start i#1"])
    }

    @Test("stops sidecars when the job is done, last first") func jobDone() throws {
        let yaml = simplePod(["a"], policy: "Never", initContainers: [sidecar("s1"), sidecar("s2")])
        #expect(try plan(yaml, Scene.observed(["s1:running", "s2:running", "a:exit0"])).actions == ["stop s2-0-s0 30"])
        #expect(try plan(yaml, Scene.observed(["s1:running", "s2:exit0", "a:exit0"])).actions == ["stop s1-0-s0 30"])
        #expect(try plan(yaml, Scene.observed(["s1:exit0", "s2:exit0", "a:exit0"])).actions == ["stopSandbox s0"])
        #expect(try plan(yaml, Scene.observed(["s1:exit0", "s2:exit0", "a:exit0"], ready: false)).actions == [])
    }

    @Test("delays restarts, and says until when") func backOff() throws {
        let yaml = simplePod(["a"])
        let observed = Scene.observed(["a:exit1@4"])
        var memory = PodMemory()
        memory.restarts["a"] = {
            var backOff = BackOff()
            backOff.advance(after: Scene.now - 10, now: Scene.now - 10, .init())
            return backOff
        }()
        let waiting = try plan(yaml, observed, memory: memory)
        #expect(waiting.actions == [])
        #expect(waiting.decision.wakeAt == Scene.now + 6)
        #expect(waiting.decision.backingOff == ["a": Scene.now + 6])
        #expect(try plan(yaml, Scene.observed(["a:exit1@11"]), memory: memory).actions == ["start a#1"])
    }

    @Test("stops a container whose probe has failed, with the probe's own grace period") func liveness() throws {
        let observed = Scene.observed(["a:running"])
        var memory = Scene.started(observed)
        memory.verdicts["a-0-s0"]?.failure = .init(reason: "LivenessProbeFailed", gracePeriod: 7)
        #expect(try plan(simplePod(["a"]), observed, memory: memory).actions == ["stop a-0-s0 7"])
        memory.verdicts["a-0-s0"]?.failure?.gracePeriod = nil
        #expect(try plan(simplePod(["a"]), observed, memory: memory).actions == ["stop a-0-s0 30"])
    }

    @Test("makes a new sandbox when the old one is gone, and runs init containers again") func newSandbox() throws {
        let yaml = simplePod(["a"], initContainers: ["i"])
        let lost = Scene.observed(["i:exit0", "a:exit255"], ready: false)
        #expect(try plan(yaml, lost).actions == ["stopSandbox s0", "sandbox#1"])
        let leftover = Scene.observed(["i:exit0", "a:running"], ready: false)
        #expect(try plan(yaml, leftover).actions == ["stop a-0-s0 30", "stopSandbox s0", "sandbox#1"])
        let fresh = Scene.observed([], old: ["i:exit0", "a:exit255"])
        #expect(try plan(yaml, fresh).actions == ["start i#1"])
        let initialised = Scene.observed(["i#1:exit0"], old: ["i:exit0", "a:exit255"])
        #expect(try plan(yaml, initialised).actions == ["start a#1", "remove i-0-old"])
        let done = Scene.observed(["i#2:exit0", "a#2:running"], old: [])
        #expect(try plan(yaml, done).actions == [])
    }

    @Test("does not run a finished pod again in a new sandbox") func finishedStays() throws {
        let observed = Scene.observed(["a:exit0"], ready: false)
        #expect(try plan(simplePod(["a"], policy: "OnFailure"), observed).actions == [])
        #expect(try plan(simplePod(["a"], policy: "Never"), Scene.observed(["a:exit255"], ready: false)).actions == [])
    }

    @Test("waits between tries for a sandbox") func sandboxBackOff() throws {
        var memory = PodMemory()
        memory.sandboxSetback = .init(reason: "x", message: "y", retryAt: Scene.now + 5)
        let result = try plan(simplePod(), PodObservation(), memory: memory)
        #expect(result.actions == [])
        #expect(result.decision.wakeAt == Scene.now + 5)
    }

    @Test("keeps one ended instance of each container, and removes empty old sandboxes") func garbage() throws {
        let observed = Scene.observed(["a#3:running", "a#2:exit1", "a#1:exit1"])
        #expect(try plan(simplePod(["a"]), observed).actions == ["remove a-1-s0"])
        let old = Scene.observed(["a#3:running", "a#2:exit1"], old: ["a#1:exit1"])
        #expect(try plan(simplePod(["a"]), old).actions == ["remove a-1-old", "removeSandbox old"])
        let needed = Scene.observed(["a#3:running"], old: ["a#1:exit1"])
        #expect(try plan(simplePod(["a"]), needed).actions == [])
    }

    @Test("takes a pod away in order: containers, sidecars, sandbox, and the rest") func termination() throws {
        let yaml = simplePod(["a", "b"], initContainers: [sidecar("s1"), sidecar("s2")])
        func leaving(_ containers: [String], ready: Bool = true) throws -> [String] {
            var memory = PodMemory()
            memory.terminationDeadline = Scene.now + 10
            return try plan(yaml, Scene.observed(containers, ready: ready), memory: memory).actions
        }
        #expect(
            Set(try leaving(["s1:running", "s2:running", "a:running", "b:running"])) == [
                "stop a-0-s0 10", "stop b-0-s0 10",
            ])
        #expect(try leaving(["s1:running", "s2:running", "a:exit0", "b:exit0"]) == ["stop s2-0-s0 10"])
        #expect(try leaving(["s1:running", "s2:exit0", "a:exit0"]) == ["stop s1-0-s0 10"])
        #expect(try leaving(["s1:exit0"]) == ["stopSandbox s0", "remove s1-0-s0", "removeSandbox s0"])
        var memory = PodMemory()
        memory.terminationDeadline = Scene.now - 5
        let late = try plan(yaml, Scene.observed(["s1:running", "a:running"]), memory: memory)
        #expect(late.actions == ["stop a-0-s0 0"])
        #expect(try plan(yaml, PodObservation(), memory: memory).decision.isGone)
    }

    @Test("stops a second instance of the same container") func duplicate() throws {
        let observed = Scene.observed(["a#1:running", "a:running"])
        #expect(try plan(simplePod(["a"]), observed).actions == ["stop a-0-s0 30"])
    }
}

@Suite("The restart back-off")
struct BackOffTests {
    @Test("doubles to its limit, and is forgotten after a long run") func doubling() {
        let timing = BackOff.Timing(base: 10, limit: 300)
        var backOff = BackOff()
        var now = Scene.now
        #expect(backOff.notBefore(after: now, timing) == now)
        var delays: [Double] = []
        for _ in 0..<7 {
            backOff.advance(after: now, now: now, timing)
            delays.append(backOff.notBefore(after: now + 1, timing).timeIntervalSince(now + 1))
            now += backOff.delay
        }
        #expect(delays == [10, 20, 40, 80, 160, 300, 300])
        let later = now + 601
        #expect(backOff.notBefore(after: later, timing) == later)
        backOff.advance(after: later, now: later, timing)
        #expect(backOff.delay == 10)
    }
}

@Suite("The probe tracker")
struct ProbeTrackerTests {
    @Test("changes after as many results in a row as the thresholds say") func thresholds() throws {
        let pod = try pod(
            simplePod([
                "{name: a, image: i, readinessProbe: {exec: {command: [x]}, successThreshold: 2, failureThreshold: 3}}"
            ]))
        var tracker = ProbeTracker(.readiness, try #require(pod.spec.containers[0].readinessProbe))
        let failure = ProbeTracker.Outcome.failure("no")
        let outcomes: [(ProbeTracker.Outcome, ProbeTracker.State?)] = [
            (.success, nil), (failure, nil), (.success, nil), (.success, .passing), (.success, nil), (failure, nil),
            (failure, nil), (.success, nil), (failure, nil), (failure, nil), (failure, .failing("no")), (failure, nil),
            (.success, nil), (.success, .passing),
        ]
        for (index, (outcome, expected)) in outcomes.enumerated() {
            #expect(tracker.record(outcome) == expected, "result \(index)")
        }
    }
}
