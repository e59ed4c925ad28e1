import Testing

@testable import Engine

@Suite("Filters of lists") struct FilterTests {
    private func container(_ id: String, _ state: ContainerState, labels: [String: String] = [:]) -> Container {
        var config = ContainerConfig(metadata: ContainerMetadata(name: id), image: ImageRequest(image: "box"))
        config.labels = labels
        return Container(
            id: id, podID: "pod1", podMetadata: PodSandboxMetadata(name: "p", uid: "u", namespace: "n"), config: config,
            imageID: "i", imageReference: "r", logPath: "", createdAt: 1, state: state, resources: LinuxResources(),
            stopSignal: 15, cgroup: "/c", warnings: [])
    }

    @Test func everyFieldThatIsSetMustMatch() {
        let one = container("abc1", .running(startedAt: 1), labels: ["app": "web", "tier": "1"])
        #expect(ContainerFilter().matches(one))
        #expect(ContainerFilter(id: "abc").matches(one))
        #expect(!ContainerFilter(id: "b").matches(one))
        #expect(ContainerFilter(phase: .running, podID: "pod1", labels: ["app": "web"]).matches(one))
        #expect(!ContainerFilter(phase: .exited).matches(one))
        #expect(!ContainerFilter(labels: ["app": "db"]).matches(one))
        #expect(!ContainerFilter(labels: ["other": ""]).matches(one))
    }

    @Test func podsAreReadyOrNot() {
        let pod = SpecFixture.pod { $0.labels = ["app": "web"] }
        #expect(PodFilter(id: "po", ready: true, labels: ["app": "web"]).matches(pod))
        #expect(!PodFilter(ready: false).matches(pod))
    }
}
