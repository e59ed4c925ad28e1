import Core
import Testing

@testable import Engine

@Suite("Lifecycles") struct StateTests {
    private let exit = ContainerExit(code: 1, startedAt: 1, finishedAt: 2)

    @Test func aContainerFollowsItsDiagram() throws {
        try ContainerState.creating.checkTransition(to: .created, of: "c")
        try ContainerState.created.checkTransition(to: .running(startedAt: 1), of: "c")
        try ContainerState.running(startedAt: 1).checkTransition(to: .exited(exit), of: "c")
        try ContainerState.exited(exit).checkTransition(to: .removing(exit), of: "c")
        for (from, to) in [
            (ContainerState.exited(exit), ContainerState.running(startedAt: 1)), (.creating, .running(startedAt: 1)),
            (.removing(nil), .created),
        ] {
            let error = try #require(throws: BerthError.self) { try from.checkTransition(to: to, of: "c") }
            #expect(error.code == .failedPrecondition)
        }
    }

    @Test func aPodFollowsItsDiagram() throws {
        try PodState.creating.checkTransition(to: .ready, of: "p")
        try PodState.ready.checkTransition(to: .notReady(since: 1, reason: "stopped"), of: "p")
        try PodState.notReady(since: 1, reason: "").checkTransition(to: .removing, of: "p")
        #expect(throws: BerthError.self) {
            try PodState.notReady(since: 1, reason: "").checkTransition(to: .ready, of: "p")
        }
    }

    @Test func exitsHaveTheReasonsThatKubeletsKnow() {
        #expect(ContainerExit(code: 0, startedAt: 0, finishedAt: 0).reason == "Completed")
        #expect(exit.reason == "Error")
        #expect(ContainerExit(code: 137, startedAt: 0, finishedAt: 0, reason: "OOMKilled").reason == "OOMKilled")
    }

    @Test func updatedLimitsKeepWhatIsNotSet() {
        var limits = LinuxResources()
        limits.cpuShares = 100
        limits.memoryLimit = 1000
        var update = LinuxResources()
        update.memoryLimit = 2000
        #expect(limits.updated(by: update).cpuShares == 100)
        #expect(limits.updated(by: update).memoryLimit == 2000)
    }

    @Test(arguments: [
        ("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("SIGUSR2", 12),
    ])
    func signalsOfImagesHaveNumbers(text: String, number: Int32) {
        #expect(SignalName.number(of: text) == number)
    }

    @Test(arguments: ["", "SIGFOO", "0", "65", "RTMIN+31", "-1"])
    func whatIsNoSignalHasNone(text: String) {
        #expect(SignalName.number(of: text) == nil)
    }
}
