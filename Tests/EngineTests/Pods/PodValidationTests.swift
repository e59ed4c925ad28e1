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
        #expect(
            try refusal {
                $0.hostname = "not-the-hosts"
                $0.security.namespaces.network = .node
            }.message.contains("config.hostname"))
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

    @Test func aUserNamespaceHasOneMappingFromZeroOn() throws {
        func refusal(
            _ uids: [IDMapping], gids: [IDMapping]? = nil, ipc: NamespaceOptions.Mode = .pod
        ) throws -> String {
            try self.refusal {
                $0.security.namespaces.user = UserNamespaceOptions(mode: .pod, uids: uids, gids: gids ?? uids)
                $0.security.namespaces.ipc = ipc
            }.message
        }
        let good = IDMapping(containerID: 0, hostID: 1000, size: 10)
        #expect(try refusal([]).contains("userns_options.uids"))
        #expect(try refusal([good, good]).contains("2 mappings"))
        #expect(try refusal([IDMapping(containerID: 1, hostID: 1000, size: 10)]).contains("from 0 on"))
        #expect(try refusal([IDMapping(containerID: 0, hostID: 1000, size: 0)]).contains("from 0 on"))
        #expect(try refusal([IDMapping(containerID: 0, hostID: .max - 1, size: 10)]).contains("beyond"))
        #expect(try refusal([good], gids: []).contains("userns_options.gids"))
        #expect(try refusal([good], gids: [IDMapping(containerID: 0, hostID: 7, size: 10)]).contains("alike"))
        #expect(try refusal([good], ipc: .node).contains("ipc is NODE"))
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: "p", uid: "u", namespace: "n"))
        config.security.namespaces.user = UserNamespaceOptions(mode: .pod, uids: [good], gids: [good])
        try PodValidation.check(config, runtimeHandler: "")
        config.security.namespaces.network = .node
        try PodValidation.check(config, runtimeHandler: "")
        config.security.namespaces.user = UserNamespaceOptions(mode: .node)
        try PodValidation.check(config, runtimeHandler: "")
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
