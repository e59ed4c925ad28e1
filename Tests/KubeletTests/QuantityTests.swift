internal import Core
internal import Testing

@testable internal import Kubelet

@Suite("Quantities")
struct QuantityTests {
    @Test(
        "are read in decimal, binary and exponent form",
        arguments: [
            ("0", 0), ("1", 1000), ("100m", 100), ("1.5", 1500), (".5", 500), ("5.", 5000), ("1e3", 1_000_000),
            ("2E2", 200_000), ("1k", 1_000_000), ("1Ki", 1_024_000), ("1.5Gi", 1_610_612_736_000), ("-1", -1000),
            ("+2", 2000), ("500u", 1), ("1n", 1), ("1E", Int64.max / 1), ("12e-1", 1200),
        ] as [(String, Int64)])
    func read(text: String, thousandths: Int64) throws {
        let quantity = try Quantity(text)
        if text == "1E" {
            #expect(quantity.units == 1_000_000_000_000_000_000)
        } else {
            #expect(quantity.thousandths == thousandths)
        }
    }

    @Test("are rounded up, never down") func roundUp() throws {
        #expect(try Quantity("1.1").units == 2)
        #expect(try Quantity("0.1m").thousandths == 1)
        #expect(try Quantity("0.0000000001").billionths == 1)
    }

    @Test("beyond 2^63-1 are cut to it") func largest() throws {
        #expect(try Quantity("100E").units == Int64.max)
    }

    @Test(
        "that are none are refused by name",
        arguments: [
            "", ".", "-", "1.2.3", "1Kib", "Ki", "1 Gi", "0x10", "1e", "1e99", "1e+-3", "٣",
            "99999999999999999999999999999999999999999999",
        ])
    func bad(text: String) {
        let error = #expect(throws: BerthError.self) { try Quantity(text) }
        #expect(error?.code == .invalidArgument)
    }

    @Test("become CPU shares, quota and memory limit") func cgroupValues() throws {
        let pod = try pod(
            simplePod([
                "{name: a, image: i, resources: {requests: {cpu: 250m, memory: 64Mi}, limits: {cpu: '1.5', memory: 128Mi}}}"
            ]))
        let resources = PodResources.linux(pod.spec.containers[0], qos: pod.qosClass, nodeMemory: 1 << 30)
        #expect(resources.cpuShares == 256)
        #expect(resources.cpuQuota == 150_000)
        #expect(resources.cpuPeriod == 100_000)
        #expect(resources.memoryLimitInBytes == 128 << 20)
        #expect(resources.oomScoreAdj == 938)
        #expect(pod.qosClass == .burstable)
    }

    @Test("decide the QoS class and the pod's cgroup") func classes() throws {
        let best = try pod(simplePod())
        let guaranteed = try pod(simplePod(["{name: a, image: i, resources: {limits: {cpu: 1, memory: 1Gi}}}"]))
        let half = try pod(simplePod(["{name: a, image: i, resources: {limits: {cpu: 1, memory: 1Gi}}}", "b"]))
        #expect(best.qosClass == .bestEffort)
        #expect(guaranteed.qosClass == .guaranteed)
        #expect(half.qosClass == .burstable)
        #expect(
            PodCgroup.parent(uid: "u", qos: .bestEffort, driver: .cgroupfs, root: "/") == "/kubepods/besteffort/podu")
        #expect(PodCgroup.parent(uid: "u", qos: .guaranteed, driver: .cgroupfs, root: "/x/") == "/x/kubepods/podu")
        #expect(
            PodCgroup.parent(uid: "a-b", qos: .burstable, driver: .systemd, root: "/")
                == "kubepods-burstable-poda_b.slice")
        #expect(PodResources.oomScore(best.spec.containers[0], qos: .bestEffort, nodeMemory: 1) == 1000)
        #expect(PodResources.oomScore(best.spec.containers[0], qos: .guaranteed, nodeMemory: 1) == -997)
    }

    @Test("of init containers and sidecars make the sandbox's sum") func sandboxSum() throws {
        func with(_ name: String, _ cpu: String, _ more: String = "") -> String {
            "{name: \(name), image: i, resources: {requests: {cpu: \(cpu)}}\(more)}"
        }
        let small = try pod(
            simplePod(
                [with("a", "1"), with("b", "1")],
                initContainers: [with("i", "1"), with("s", "1", ", restartPolicy: Always")]))
        #expect(PodResources.linux(small).cpuShares == 3 * 1024)
        let large = try pod(
            simplePod([with("a", "1")], initContainers: [with("s", "1", ", restartPolicy: Always"), with("i", "5")]))
        #expect(PodResources.linux(large).cpuShares == 6 * 1024)
    }
}
