import Core
import Testing

@testable import Engine

@Suite("What RunPodSandbox refuses") struct PodValidationTests {
    private func refusal(handler: String = "", _ change: (inout PodSandboxConfig) -> Void) throws -> BerthError {
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: "p", uid: "u", namespace: "n"))
        change(&config)
        return try #require(throws: BerthError.self) { try PodValidation.check(config, runtimeHandler: handler) }
    }

    @Test func eachRefusalNamesItsField() throws {
        #expect(try refusal(handler: "kata") { _ in }.message.contains("kata"))
        #expect(try refusal { $0.hostname = String(repeating: "x", count: 65) }.message.contains("config.hostname"))
        #expect(try refusal { $0.logDirectory = "logs" }.message.contains("config.log_directory"))
        #expect(try refusal { $0.cgroupParent = "/a/../b" }.message.contains("config.linux.cgroup_parent"))
        #expect(try refusal { $0.cgroupParent = "kubepods.slice" }.message.contains("systemd"))
        #expect(
            try refusal { $0.dns = DNSConfig(servers: ["1.1.1.1\nsearch evil"]) }.message.contains("dns_config.servers")
        )
    }

    @Test func onlySysctlsOfThePodsNamespacesAreAllowed() throws {
        #expect(try refusal { $0.sysctls = ["vm.swappiness": "1"] }.message.contains("vm.swappiness"))
        #expect(
            try refusal {
                $0.sysctls = ["net.ipv4.ip_forward": "1"]
                $0.security.namespaces.network = .node
            }.message.contains("network namespace"))
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: "p", uid: "u", namespace: "n"))
        config.sysctls = ["net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"]
        try PodValidation.check(config, runtimeHandler: "berth")
    }

    @Test func resolvConfIsWrittenFromTheConfig() throws {
        let dns = DNSConfig(servers: ["10.0.0.10"], searches: ["a.svc", "b"], options: ["ndots:5"])
        #expect(try PodFiles.resolvConf(dns) == "search a.svc b\nnameserver 10.0.0.10\noptions ndots:5\n")
    }

    @Test func hostsHoldsThePodsAddresses() {
        let text = PodFiles.hosts(hostNetwork: false, hostname: "web", addresses: ["10.85.0.2", "fd00::2"])
        #expect(text.contains("127.0.0.1 localhost\n"))
        #expect(text.hasSuffix("10.85.0.2 web\nfd00::2 web\n"))
    }

    @Test func bandwidthAnnotationsAreRates() throws {
        let pod = SpecFixture.pod { $0.annotations = ["kubernetes.io/ingress-bandwidth": "10M"] }
        #expect(try pod.networkRequest(StateLayout(root: "/run/b")).bandwidth?.ingressRate == 10_000_000)
        let bad = SpecFixture.pod { $0.annotations = ["kubernetes.io/egress-bandwidth": "fast"] }
        #expect(throws: BerthError.self) { try bad.networkRequest(StateLayout(root: "/run/b")) }
    }
}
