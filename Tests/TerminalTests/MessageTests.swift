import CRIAPI
import Core
import Testing

@testable import Terminal

@Suite struct MessageTests {
    @Test func defaultsArePrintedAndUnsetMessagesAreNot() throws {
        var container = Runtime_V1_Container()
        container.id = "c1"
        container.createdAt = 1_795_380_354_815_060_946
        container.labels = ["b": "2", "a": "1"]
        container.metadata.name = "web"
        #expect(
            try MessageJSON.value(of: container).renderedCompactly()
                == #"{"id":"c1","podSandboxId":"","metadata":{"name":"web","attempt":0},"imageRef":"","#
                + #""state":"CONTAINER_CREATED","createdAt":"1795380354815060946","labels":{"a":"1","b":"2"},"#
                + #""annotations":{},"imageId":""}"#)
    }

    @Test func statusHasNullForUnsetMessages() throws {
        let value = try MessageJSON.valueWithNulls(of: Runtime_V1_PodSandboxStatus())
        #expect(value["network"] == .null)
        #expect(value["state"]?.string == "SANDBOX_READY")
        #expect(value["runtimeHandler"]?.string == "")
    }

    @Test func namesOutsideTheRuleAreTheProtocolsOwn() throws {
        var stats = Runtime_V1_CpuUsage()
        stats.usageCoreNanoSeconds.value = 5
        stats.psi.full.avg10 = 0.25
        let value = try MessageJSON.value(of: stats)
        #expect(value["usageCoreNanoSeconds"]?["value"]?.string == "5")
        #expect(value["psi"]?["Full"]?["Avg10"] == .number("0.25"))
        #expect(value["psi"]?["Full"]?["Total"]?.string == "0")
        #expect(try MessageJSON.value(of: Runtime_V1_ContainerConfig())["CDIDevices"] == .array([]))
    }

    @Test func unknownEnumValueIsItsNumber() throws {
        var pod = Runtime_V1_PodSandbox()
        pod.state = .UNRECOGNIZED(7)
        #expect(try MessageJSON.value(of: pod)["state"] == .number("7"))
    }

    @Test func configurationTakesBothSpellingsAndNamesOfEnums() throws {
        let document = try JSONValue(
            parsingYAML: """
                metadata: {name: web, namespace: default, uid: 17, attempt: "2"}
                log_directory: /var/log/web
                dnsConfig: {servers: [10.0.0.1]}
                port_mappings:
                - {protocol: UDP, container_port: 53, host_port: "5353"}
                - {protocol: 2}
                linux:
                  cgroup_parent: /pods
                  security_context: {namespace_options: {network: NODE}, run_as_user: {value: 0}}
                  sysctls: {net.ipv4.ip_forward: "1"}
                """)
        let pod = try MessageConfiguration.decode(Runtime_V1_PodSandboxConfig.self, from: document)
        #expect(pod.metadata.uid == "17")
        #expect(pod.metadata.attempt == 2)
        #expect(pod.logDirectory == "/var/log/web")
        #expect(pod.dnsConfig.servers == ["10.0.0.1"])
        #expect(pod.portMappings.map(\.protocol) == [.udp, .sctp])
        #expect(pod.portMappings[0].hostPort == 5353)
        #expect(pod.linux.securityContext.namespaceOptions.network == .node)
        #expect(pod.linux.securityContext.hasRunAsUser)
        #expect(pod.linux.sysctls == ["net.ipv4.ip_forward": "1"])
    }

    @Test func environmentValuesArePlainText() throws {
        let document = try JSONValue(parsing: #"{"envs":[{"key":"A","value":"b=c"}],"stop_signal":"SIGNAL_SIGTERM"}"#)
        let container = try MessageConfiguration.decode(Runtime_V1_ContainerConfig.self, from: document)
        #expect(container.envs.map { String(decoding: $0.value, as: UTF8.self) } == ["b=c"])
        #expect(container.stopSignal == .sigterm)
    }

    @Test(arguments: [
        (
            #"{"linux":{"resources":{"cpu_shares":"many"}}}"#,
            "linux.resources.cpu_shares: \"many\" must be a whole number"
        ),
        (
            #"{"port_mappings":[{},{"container_port":[]}]}"#,
            "port_mappings[1].container_port must be a whole number of 32 bits, not a list"
        ),
        (#"{"labels":["a"]}"#, "labels must be an object, not a list"),
        (#"{"metadata":"web"}"#, "metadata must be an object, not a string"),
        (
            #"{"port_mappings":[{"protocol":"ICMP"}]}"#,
            "port_mappings[0].protocol: \"ICMP\" must be one of the names of the protocol"
        ),
        (
            #"{"linux":{"security_context":{"privileged":"yes"}}}"#,
            "linux.security_context.privileged: \"yes\" must be true or false"
        ),
        (#"[]"#, "the document must be an object, not a list"),
    ])
    func wrongFieldIsNamedWithItsPath(text: String, message: String) throws {
        let document = try JSONValue(parsing: text)
        let error = #expect(throws: BerthError.self) {
            try MessageConfiguration.decode(Runtime_V1_PodSandboxConfig.self, from: document)
        }
        #expect(error?.message == message)
    }

    @Test func unknownFieldIsNamedWithTheKnownOnes() throws {
        let error = #expect(throws: BerthError.self) {
            try MessageConfiguration.decode(
                Runtime_V1_PodSandboxConfig.self, from: JSONValue(parsing: #"{"metadata":{"nmae":"x"}}"#))
        }
        #expect(error?.message == "metadata.nmae: unknown field")
        #expect(error?.advice == "known are name, uid, namespace, attempt")
    }
}
