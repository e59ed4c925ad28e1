internal import CRIAPI
internal import Core
internal import Foundation
internal import Glibc
internal import SystemPackage
internal import Testing

@testable internal import Kubelet

private func settings(_ root: FilePath = "/none") -> KubeletConfiguration {
    var settings = KubeletConfiguration(manifests: root.appending("manifests"), nodeName: "node", nodeIP: "192.0.2.1")
    settings.root = root.appending("root")
    settings.logs = root.appending("logs")
    return settings
}

private func downward(_ pod: Pod) -> DownwardFields {
    DownwardFields(
        pod: pod, podIPs: ["10.1.2.3", "fd00::3"], hostIP: "192.0.2.1", nodeName: "node", nodeCPUs: 4,
        nodeMemory: 1 << 30)
}

@Suite("Environment")
struct EnvironmentTests {
    @Test(
        "references are expanded as Kubernetes does",
        arguments: [
            ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$(NOPE)", "$(NOPE)"),
            ("$A", "$A"),
            ("$", "$"), ("$(", "$("), ("$(A", "$(A"), ("$()", "$()"), ("a$$b", "a$b"), ("é$(A)", "é1"),
            ("$($(A))", "$($(A))"),
        ])
    func expansion(text: String, expected: String) {
        #expect(EnvironmentExpansion.expand(text, ["A": "1", "B": "2"]) == expected)
    }

    @Test("has downward fields, amounts and earlier variables") func downwardFields() throws {
        let pod = try pod(
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: p, labels: {app: web}, annotations: {a/b: "x\\"y"}}
            spec:
              containers:
              - name: c
                image: i
                resources: {limits: {cpu: 1500m, memory: 33Mi}}
                env:
                - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
                - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
                - {name: NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['a/b']"}}}
                - {name: IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
                - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
                - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
                - {name: ALL, value: "$(NAME)/$(APP)/$(LATER)"}
                - {name: LATER, value: x}
                - {name: NAME, value: "again $(NAME)"}
            """)
        let result = EnvironmentExpansion.environment(pod.spec.containers[0], downward(pod)).map {
            "\($0.name)=\($0.value)"
        }
        #expect(
            result == [
                "NAME=again p", "APP=web", "NOTE=x\"y", "IPS=10.1.2.3,fd00::3", "CPUS=2", "MEM=33",
                "ALL=p/web/$(LATER)",
                "LATER=x",
            ])
        #expect(downward(pod).value(of: FieldReference(fieldPath: "metadata.annotations")) == #"a/b="x\"y""#)
    }
}

@Suite("Pod network files")
struct PodNetworkFilesTests {
    private let host = "# comment\nnameserver 192.0.2.53\nsearch lan example.org\noptions timeout:1 ndots:2\n"

    private func files(_ more: String, dns: [String] = ["10.96.0.10"]) throws -> PodNetworkFiles {
        var configuration = settings()
        configuration.clusterDNS = dns
        return PodNetworkFiles(pod: try pod(simplePod(more: more)), configuration: configuration, hostResolvConf: host)
    }

    @Test("follow the DNS policy") func policies() throws {
        let cluster = try files("").dns()
        #expect(cluster.servers == ["10.96.0.10"])
        #expect(
            cluster.searches == [
                "default.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan", "example.org",
            ])
        #expect(cluster.options == ["ndots:5"])
        for plain in [try files("dnsPolicy: Default"), try files("", dns: []), try files("hostNetwork: true")] {
            #expect(plain.dns().servers == ["192.0.2.53"])
            #expect(plain.dns().options == ["timeout:1", "ndots:2"])
        }
        #expect(try files("hostNetwork: true\ndnsPolicy: ClusterFirstWithHostNet").dns().servers == ["10.96.0.10"])
    }

    @Test("merge the pod's own DNS configuration") func own() throws {
        let none = try files(
            "dnsPolicy: None\ndnsConfig: {nameservers: [1.1.1.1], searches: [a.b], options: [{name: ndots, value: '3'}, {name: edns0}]}"
        ).dns()
        #expect(none.servers == ["1.1.1.1"])
        #expect(none.searches == ["a.b"])
        #expect(none.options == ["ndots:3", "edns0"])
        let merged = try files("dnsConfig: {nameservers: [1.1.1.1, 10.96.0.10], options: [{name: ndots, value: '1'}]}")
            .dns()
        #expect(merged.servers == ["10.96.0.10", "1.1.1.1"])
        #expect(merged.options == ["ndots:1"])
    }

    @Test("name the pod and its aliases in the hosts file") func hosts() throws {
        let files = try files("hostname: box\nsubdomain: sub\nhostAliases: [{ip: 10.0.0.9, hostnames: [a, b.c]}]")
        let text = files.hosts(addresses: ["10.1.2.3"], hostFile: "")
        #expect(text.contains("127.0.0.1\tlocalhost\n"))
        #expect(text.contains("10.1.2.3\tbox.sub.default.svc.cluster.local\tbox\n"))
        #expect(text.contains("10.0.0.9\ta\tb.c\n"))
        #expect(try files.hostname() == "box")
        #expect(
            try self.files("hostname: box\nsubdomain: sub\nsetHostnameAsFQDN: true").hostname()
                == "box.sub.default.svc.cluster.local")
        #expect(throws: BerthError.self) {
            try self.files("hostname: \(String(repeating: "x", count: 60))\nsubdomain: sub\nsetHostnameAsFQDN: true")
                .hostname()
        }
    }
}

@Suite("CRI configurations")
struct ConfigBuilderTests {
    private let facts = NodeFacts(cpus: 2, memory: 1 << 30, cgroupDriver: .cgroupfs)

    @Test("of a sandbox carry identity, ports, namespaces and sysctls") func sandbox() throws {
        let pod = try pod(
            simplePod(
                ["{name: a, image: i, ports: [{containerPort: 80, hostPort: 8080, protocol: UDP, hostIP: 127.0.0.1}]}"],
                more:
                    "hostPID: true\nsecurityContext: {runAsUser: 5, fsGroup: 7, sysctls: [{name: net/ipv4/ip_forward, value: '1'}]}"
            ))
        let files = PodNetworkFiles(pod: pod, configuration: settings(), hostResolvConf: "")
        let config = try SandboxConfigBuilder(
            pod: pod, configuration: settings(), facts: facts, manifest: "/m.yaml", network: files
        ).build(attempt: 3)
        #expect(config.metadata.attempt == 3)
        #expect(config.labels[PodLabel.podUID] == pod.uid)
        #expect(config.annotations[PodLabel.manifest] == "/m.yaml")
        #expect(config.portMappings.first?.hostPort == 8080)
        #expect(config.portMappings.first?.protocol == .udp)
        #expect(config.linux.sysctls == ["net.ipv4.ip_forward": "1"])
        #expect(config.linux.cgroupParent == "/kubepods/besteffort/pod\(pod.uid)")
        #expect(config.linux.securityContext.namespaceOptions.pid == .node)
        #expect(config.linux.securityContext.namespaceOptions.network == .pod)
        #expect(config.linux.securityContext.supplementalGroups == [7])
        #expect(config.linux.securityContext.runAsUser.value == 5)
        #expect(config.hostname == "demo")
        #expect(config.logDirectory == "/none/logs/default_demo_\(pod.uid)")
    }

    @Test("of a container carry its command, user, capabilities and masks") func container() throws {
        let pod = try pod(
            simplePod(
                [
                    """
                    {name: a, image: i, command: [run, $(X)], env: [{name: X, value: v}], workingDir: /w, securityContext:
                    {runAsGroup: 9, capabilities: {add: [NET_ADMIN], drop: [ALL]}, readOnlyRootFilesystem: true,
                    allowPrivilegeEscalation: false, seccompProfile: {type: Localhost, localhostProfile: p.json}}}
                    """.replacing("\n", with: " "), "{name: b, image: i, securityContext: {privileged: true}}",
                    "{name: c, image: i}",
                ], more: "shareProcessNamespace: true\nsecurityContext: {runAsUser: 5, supplementalGroups: [1, 2]}"))
        let builder = ContainerConfigBuilder(pod: pod, configuration: settings(), facts: facts, downward: downward(pod))
        let first = builder.build(pod.spec.containers[0], attempt: 4, image: "sha256:1", mounts: [])
        #expect(first.command == ["run", "v"])
        #expect(first.logPath == "a/4.log")
        #expect(first.image.image == "sha256:1")
        #expect(first.annotations[PodLabel.restartCount] == "4")
        let context = first.linux.securityContext
        #expect(context.runAsUser.value == 5 && context.runAsGroup.value == 9)
        #expect(context.supplementalGroups == [1, 2])
        #expect(
            context.capabilities.addCapabilities == ["NET_ADMIN"] && context.capabilities.dropCapabilities == ["ALL"])
        #expect(context.noNewPrivs && context.readonlyRootfs)
        #expect(context.seccomp.profileType == .localhost && context.seccomp.localhostRef == "p.json")
        #expect(context.namespaceOptions.pid == .pod)
        #expect(context.maskedPaths.contains("/proc/kcore"))
        let privileged = builder.build(pod.spec.containers[1], attempt: 0, image: "i", mounts: []).linux.securityContext
        #expect(
            privileged.privileged && privileged.maskedPaths.isEmpty && privileged.seccomp.profileType == .unconfined)
        let plain = builder.build(pod.spec.containers[2], attempt: 0, image: "i", mounts: []).linux.securityContext
        #expect(plain.seccomp.profileType == .runtimeDefault && !plain.hasRunAsGroup)
    }

    @Test("of a pod that lost its manifest are read back for an orderly stop") func orphan() throws {
        let pod = try pod(
            simplePod(
                ["{name: a, image: i, lifecycle: {preStop: {exec: {command: [bye]}}}}"], initContainers: [sidecar("s")],
                more: "terminationGracePeriodSeconds: 12"))
        let builder = ContainerConfigBuilder(pod: pod, configuration: settings(), facts: facts, downward: downward(pod))
        let sandbox = Runtime_V1_PodSandbox.with { $0.labels = SandboxConfigBuilder.labels(pod) }
        let containers = pod.allContainers.map { container in
            let config = builder.build(container, attempt: 0, image: "i", mounts: [])
            return Runtime_V1_Container.with {
                $0.labels = config.labels
                $0.annotations = config.annotations
            }
        }
        let orphan = try #require(Pod(orphan: sandbox, containers: containers))
        #expect(orphan.uid == pod.uid && orphan.fullName == "default/demo" && orphan.gracePeriod == 12)
        #expect(orphan.spec.containers.first?.lifecycle?.preStop?.exec?.command == ["bye"])
        #expect(orphan.initContainers.map(\.name) == ["s"])
        let hostile = Runtime_V1_PodSandbox.with {
            $0.labels = [PodLabel.podName: "a", PodLabel.podNamespace: "b", PodLabel.podUID: "../../etc"]
        }
        #expect(Pod(orphan: hostile, containers: []) == nil)
    }
}

@Suite("Volumes (Serial)", .serialized)
struct VolumeTests {
    private func volumes(_ scratch: ScratchFolder, mounts: String, volumes: String, more: String = "") throws
        -> PodVolumes
    {
        let text = simplePod(["{name: c, image: i, volumeMounts: [\(mounts)]}"], more: "volumes: [\(volumes)]\n\(more)")
        return PodVolumes(pod: try pod(text), configuration: settings(scratch.path))
    }

    private func mounts(_ volumes: PodVolumes) throws -> [Runtime_V1_Mount] {
        try volumes.prepare(downward(volumes.pod))
        return try volumes.mounts(for: volumes.pod.spec.containers[0], attempt: 0, managesHosts: true)
    }

    @Test("are made, given to the group, and taken away whole") func emptyDir() throws {
        let scratch = try ScratchFolder()
        let volumes = try volumes(
            scratch, mounts: "{name: d, mountPath: /d}, {name: m, mountPath: /m, readOnly: true}",
            volumes: "{name: d, emptyDir: {}}, {name: m, emptyDir: {medium: Memory, sizeLimit: 1Mi}}",
            more: "securityContext: {fsGroup: 4321}")
        let mounts = try mounts(volumes)
        try volumes.prepare(downward(volumes.pod))
        #expect(mounts.map(\.containerPath) == ["/d", "/m", "/etc/hosts", "/dev/termination-log"])
        #expect(mounts[1].readonly)
        var info = stat()
        #expect(stat(mounts[0].hostPath, &info) == 0 && info.st_gid == 4321 && info.st_mode & 0o7777 == 0o2777)
        #expect(HostFiles.mounts(below: scratch.path).map(\.string) == [mounts[1].hostPath])
        let big = [UInt8](repeating: 1, count: 2 << 20)
        #expect(throws: (any Error).self) { try Data(big).write(to: URL(fileURLWithPath: mounts[1].hostPath + "/big")) }
        try volumes.remove()
        #expect(HostFiles.mounts(below: scratch.path).isEmpty)
        #expect(stat(volumes.folder.string, &info) != 0)
        try volumes.remove()
    }

    @Test("write downward files") func downwardFiles() throws {
        let scratch = try ScratchFolder()
        let volumes = try volumes(
            scratch, mounts: "{name: d, mountPath: /d}",
            volumes:
                "{name: d, downwardAPI: {items: [{path: a/name, fieldRef: {fieldPath: metadata.name}, mode: 0400}, {path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu}}]}}"
        )
        let mounts = try mounts(volumes)
        #expect(mounts[0].readonly)
        #expect(try String(contentsOfFile: mounts[0].hostPath + "/a/name", encoding: .utf8) == "demo")
        #expect(try String(contentsOfFile: mounts[0].hostPath + "/cpu", encoding: .utf8) == "4")
    }

    @Test("check what a hostPath is") func hostPath() throws {
        let scratch = try ScratchFolder()
        let path = scratch.path.appending("x").string
        for (kind, works) in [
            ("Directory", false), ("DirectoryOrCreate", true), ("Directory", true), ("File", false),
            ("FileOrCreate", false), ("Socket", false),
        ] {
            let volumes = try volumes(
                scratch, mounts: "", volumes: "{name: h, hostPath: {path: \(path), type: \(kind)}}")
            if works {
                #expect(throws: Never.self) { try volumes.prepare(downward(volumes.pod)) }
            } else {
                #expect(throws: BerthError.self) { try volumes.prepare(downward(volumes.pod)) }
            }
        }
    }

    @Test("bind subPaths without following links out of the volume") func subPath() throws {
        let scratch = try ScratchFolder()
        let volume = scratch.path.appending("volume")
        try HostFiles.makeDirectories(volume.appending("real"))
        try "inside".write(toFile: volume.string + "/real/file", atomically: false, encoding: .utf8)
        symlink("/etc", volume.appending("link").string)
        symlink("/etc/passwd", volume.appending("real/passwd").string)
        func subPathMounts(_ subPath: String) throws -> [Runtime_V1_Mount] {
            try mounts(
                try volumes(
                    scratch, mounts: "{name: h, mountPath: /h, subPath: \(subPath)}",
                    volumes: "{name: h, hostPath: {path: \(volume)}}"))
        }
        let file = try subPathMounts("real/file")[0].hostPath
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "inside")
        let made = try subPathMounts("new/deep")[0].hostPath
        var info = stat()
        #expect(stat(volume.string + "/new/deep", &info) == 0)
        #expect(made.hasSuffix("/subpaths/c/0"))
        for bad in ["link", "link/passwd", "real/passwd"] {
            let error = #expect(throws: BerthError.self) { try subPathMounts(bad) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("symbolic link"), "\(bad)")
        }
        #expect(throws: BerthError.self) { try subPathMounts("real/file/below") }
        _ = try subPathMounts("real")
        let folder = settings(scratch.path).root
        try HostFiles.removeFolder(folder)
        #expect(HostFiles.mounts(below: scratch.path).isEmpty)
        #expect(try String(contentsOfFile: volume.string + "/real/file", encoding: .utf8) == "inside")
    }
}

@Suite("Container logs")
struct ContainerLogsTests {
    @Test("are read without their time stamps") func messages() {
        #expect(ContainerLogs.message("2026-01-01T00:00:00Z stdout F hello world") == "hello world\n")
        #expect(ContainerLogs.message("2026-01-01T00:00:00Z stderr P half") == "half")
        #expect(ContainerLogs.message("2026-01-01T00:00:00Z stdout F ") == "\n")
        #expect(ContainerLogs.message("torn") == nil)
    }

    @Test("are rotated by size, and only so many are kept") func rotation() async throws {
        let scratch = try ScratchFolder()
        let log = scratch.path.appending("0.log")
        let runtime = FakeRuntime()
        let rotation = LogRotation(runtime: runtime, maxSize: 10, maxFiles: 3)
        #expect(try await !rotation.rotate(log, containerID: "c", now: Date()))
        for index in 0..<5 {
            try "more than ten bytes \(index)".write(toFile: log.string, atomically: false, encoding: .utf8)
            #expect(try await rotation.rotate(log, containerID: "c", now: Date(timeIntervalSince1970: Double(index))))
        }
        #expect(ContainerLogs.names(in: scratch.path).sorted() == ["0.log.19700101-000003", "0.log.19700101-000004"])
        await runtime.fail("reopen", with: BerthError(.unavailable, "no"))
        try "more than ten bytes".write(toFile: log.string, atomically: false, encoding: .utf8)
        await #expect(throws: BerthError.self) { try await rotation.rotate(log, containerID: "c", now: Date()) }
        #expect(ContainerLogs.names(in: scratch.path).contains("0.log"))
        ContainerLogs.remove(in: scratch.path, attempt: 0)
        #expect(ContainerLogs.names(in: scratch.path).isEmpty)
    }
}
