import Core
import LinuxKernel
import OCIRuntime
import OCISpec
import Testing

@testable import Engine

@Suite("Spec building") struct SpecBuilderTests {
    @Test(arguments: [
        ([], [], ["/entry", "a", "b"]), ([], ["x"], ["/entry", "x"]), (["/cmd"], [], ["/cmd"]),
        (["/cmd"], ["x"], ["/cmd", "x"]),
    ])
    func commandAndArgumentsCombineAsKubernetesDefines(command: [String], arguments: [String], expected: [String])
        throws
    {
        var fixture = SpecFixture()
        fixture.config.command = command
        fixture.config.arguments = arguments
        #expect(try fixture.build().process?.args == expected)
    }

    @Test func aContainerWithoutAnyCommandIsRefused() throws {
        var fixture = SpecFixture()
        fixture.image = ImageConfig.Execution()
        #expect(throws: BerthError.self) { try fixture.build() }
    }

    @Test func theConfigsEnvironmentReplacesTheImages() throws {
        var fixture = SpecFixture()
        fixture.config.environment = [
            EnvironmentVariable(name: "FROM_IMAGE", value: "2"), EnvironmentVariable(name: "NEW", value: "a=b"),
        ]
        #expect(
            try fixture.build().process?.env
                == ["PATH=/bin", "HOSTNAME=web", "HOME=/root", "FROM_IMAGE=2", "NEW=a=b"])
    }

    @Test func aTerminalHasATerm() throws {
        var fixture = SpecFixture()
        fixture.config.terminal = true
        let process = try #require(try fixture.build().process)
        #expect(process.terminal == true)
        #expect(process.env?.contains("TERM=xterm") == true)
    }

    @Test func theWorkingDirectoryIsTheConfigsElseTheImages() throws {
        var fixture = SpecFixture()
        #expect(try fixture.build().process?.cwd == "/srv")
        fixture.config.workingDirectory = "/tmp"
        #expect(try fixture.build().process?.cwd == "/tmp")
        fixture.config.workingDirectory = ""
        fixture.image.workingDir = nil
        #expect(try fixture.build().process?.cwd == "/")
    }

    @Test func thePodsNamespacesAreJoinedByTheirPins() throws {
        let namespaces = try #require(try SpecFixture().build().linux?.namespaces)
        #expect(
            namespaces == [
                .init(type: "mount"), .init(type: "pid"), .init(type: "ipc", path: "/run/b/pods/pod1/ns/ipc"),
                .init(type: "network", path: "/run/b/pods/pod1/ns/net"),
                .init(type: "uts", path: "/run/b/pods/pod1/ns/uts"),
            ])
    }

    @Test func aPodsUserNamespaceIsJoinedAndItsMappingsAreTold() throws {
        var fixture = SpecFixture()
        let mapping = [IDMapping(containerID: 0, hostID: 5000, size: 70_000)]
        fixture.pod = SpecFixture.pod {
            $0.security.namespaces.user = UserNamespaceOptions(mode: .pod, uids: mapping, gids: mapping)
        }
        let linux = try #require(try fixture.build().linux)
        #expect(linux.namespaces?.contains(.init(type: "user", path: "/run/b/pods/pod1/ns/user")) == true)
        #expect(linux.uidMappings == [.init(containerID: 0, hostID: 5000, size: 70_000)])
        #expect(linux.gidMappings == linux.uidMappings)
    }

    @Test func anImageIsBoundFromWhereItWasMountedWithItsOwnIDs() throws {
        var fixture = SpecFixture()
        var mount = ContainerMount(containerPath: "/model", hostPath: "")
        mount.image = ImageRequest(image: "model")
        mount.readonly = true
        mount.uidMappings = [IDMapping(containerID: 0, hostID: 5000, size: 10)]
        fixture.config.mounts = [mount]
        #expect(throws: BerthError.self) { try fixture.build() }
        fixture.imageMounts = [0: "/run/b/containers/ctr1/images/0"]
        let bound = try #require(try fixture.build().mounts?.first { $0.destination == "/model" })
        #expect(bound.source == "/run/b/containers/ctr1/images/0")
        #expect(bound.options == ["rbind", "rprivate", "ro"])
        #expect(bound.uidMappings == nil)
    }

    @Test func annotationsArePassedByTheAllowListAlone() throws {
        var fixture = SpecFixture()
        fixture.pod = SpecFixture.pod { $0.annotations = ["a.io/x": "pod", "a.io/y": "pod", "b.io/z": "pod"] }
        fixture.config.annotations = ["a.io/x": "own", "io.kubernetes.cri.sandbox-name": "other", "c.io": "1"]
        let before = try #require(try fixture.build().annotations)
        #expect(before.keys.allSatisfy { $0.hasPrefix("io.kubernetes.cri.") })
        fixture.passedAnnotations = ["a.io/*", "c.io", "io.kubernetes.cri.sandbox-name"]
        let after = try #require(try fixture.build().annotations)
        #expect(after == before.merging(["a.io/x": "own", "a.io/y": "pod", "c.io": "1"]) { $1 })
    }

    @Test func aPodOnTheHostJoinsNothing() throws {
        var fixture = SpecFixture()
        fixture.pod = SpecFixture.pod {
            $0.security.namespaces.network = .node
            $0.security.namespaces.ipc = .node
        }
        fixture.config.security.namespaces.pid = .node
        let spec = try fixture.build()
        #expect(spec.linux?.namespaces == [.init(type: "mount")])
        #expect(spec.mounts?.first { $0.destination == "/dev/shm" }?.source == "/dev/shm")
    }

    @Test func thePodsPIDNamespaceIsTheHostsWhereThePodHasNoOther() throws {
        var fixture = SpecFixture()
        fixture.pod = SpecFixture.pod { $0.security.namespaces.pid = .node }
        fixture.config.security.namespaces.pid = .pod
        #expect(try fixture.build().linux?.namespaces?.contains { $0.type == "pid" } == false)
    }

    @Test func aTargetsPIDNamespaceIsJoined() throws {
        var fixture = SpecFixture()
        fixture.config.security.namespaces.pid = .target
        fixture.targetPIDNamespace = "/proc/77/ns/pid"
        #expect(try fixture.build().namespace("pid")?.path == "/proc/77/ns/pid")
    }

    @Test func podFilesAreMountedUnlessTheConfigMountsItsOwn() throws {
        var fixture = SpecFixture()
        fixture.config.mounts = [ContainerMount(containerPath: "/etc/hosts", hostPath: "/var/lib/kubelet/hosts")]
        let mounts = try #require(try fixture.build().mounts)
        #expect(mounts.filter { $0.destination == "/etc/hosts" }.map(\.source) == ["/var/lib/kubelet/hosts"])
        #expect(mounts.contains { $0.destination == "/etc/resolv.conf" && $0.source == "/run/b/pods/pod1/resolv.conf" })
    }

    @Test func mountsComeAfterTheirParents() throws {
        var fixture = SpecFixture()
        fixture.config.mounts = [
            ContainerMount(containerPath: "/data/a/b", hostPath: "/x"),
            ContainerMount(containerPath: "/data", hostPath: "/y"),
        ]
        let order = try #require(try fixture.build().mounts).map(\.destination).filter { $0.hasPrefix("/data") }
        #expect(order == ["/data", "/data/a/b"])
    }

    @Test(arguments: [
        (ContainerMount.Propagation.private, false, false, ["rbind", "rprivate", "rw"]),
        (.hostToContainer, true, false, ["rbind", "rslave", "ro"]),
        (.bidirectional, false, false, ["rbind", "rshared", "rw"]),
        (.private, true, true, ["rbind", "rprivate", "rro"]),
    ])
    func mountOptionsSayPropagationAndAccess(
        propagation: ContainerMount.Propagation, readonly: Bool, recursive: Bool, expected: [String]
    ) throws {
        var fixture = SpecFixture()
        var mount = ContainerMount(containerPath: "/data", hostPath: "/x")
        mount.propagation = propagation
        mount.readonly = readonly
        mount.recursiveReadonly = recursive
        fixture.config.mounts = [mount]
        #expect(try fixture.build().mounts?.first { $0.destination == "/data" }?.options == expected)
    }

    @Test(arguments: [("relative", "/x"), ("/a/../b", "/x"), ("/x", "/")])
    func badMountsAreRefusedByName(host: String, container: String) throws {
        var fixture = SpecFixture()
        fixture.config.mounts = [ContainerMount(containerPath: container, hostPath: host)]
        let error = try #require(throws: BerthError.self) { try fixture.build() }
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains("config.mounts[0]"))
    }

    @Test func resourcesAreTranslated() throws {
        var fixture = SpecFixture()
        var limits = LinuxResources()
        limits.cpuQuota = 50_000
        limits.cpuPeriod = 100_000
        limits.cpuShares = 512
        limits.memoryLimit = 64 << 20
        limits.oomScoreAdjustment = 900
        fixture.config.resources = limits
        let spec = try fixture.build()
        #expect(spec.linux?.resources?.cpu?.quota == 50_000)
        #expect(spec.linux?.resources?.cpu?.shares == 512)
        #expect(spec.linux?.resources?.memory?.limit == 64 << 20)
        #expect(spec.linux?.resources?.memory?.swap == nil)
        #expect(spec.process?.oomScoreAdj == 900)
        #expect(spec.linux?.cgroupsPath == "/kubepods/p/ctr1")
    }

    @Test func aContainerWithALimitOfMemoryDoesNotSwapUnlessItSaysHowMuch() throws {
        var fixture = SpecFixture()
        fixture.host.accountsSwap = true
        func swap(_ change: (inout LinuxResources) -> Void) throws -> Int64? {
            var limits = LinuxResources()
            limits.memoryLimit = 64 << 20
            change(&limits)
            fixture.config.resources = limits
            return try fixture.build().linux?.resources?.memory?.swap
        }
        #expect(try swap { _ in } == 64 << 20)
        #expect(try swap { $0.memorySwapLimit = 96 << 20 } == 96 << 20)
        #expect(try swap { $0.memorySwapLimit = -1 } == -1)
        #expect(try swap { $0.unified = ["memory.swap.max": "1000"] } == nil)
        #expect(try swap { $0.memoryLimit = 0 } == nil)
        #expect(try swap { $0.memoryLimit = -1 } == nil)
        fixture.host.accountsSwap = false
        #expect(try swap { _ in } == nil)
    }

    /// A kubelet names every page size, with 0 for those that a pod does not ask for.
    @Test func hugePagesThatNobodyCanLimitAreLeftOutWhereTheirLimitIsNone() throws {
        var fixture = SpecFixture()
        var limits = LinuxResources()
        limits.hugepageLimits = [
            .init(pageSize: "1GB", limit: 0), .init(pageSize: "2MB", limit: 4 << 20), .init(pageSize: "64KB", limit: 0),
        ]
        fixture.config.resources = limits
        #expect(try fixture.build().linux?.resources?.hugepageLimits?.map(\.pageSize) == ["2MB"])
        fixture.host.limitsHugepages = true
        #expect(try fixture.build().linux?.resources?.hugepageLimits?.map(\.pageSize) == ["1GB", "2MB", "64KB"])
    }

    @Test(arguments: [
        (CgroupLayout.unified, true, true), (.hybrid, true, false), (.hybrid, false, true), (.legacy, false, true),
    ])
    func hugePagesAreLimitedWhereTheirControllerReachesContainers(
        layout: CgroupLayout, isUnified: Bool, limits: Bool
    ) throws {
        let hierarchy = CgroupHierarchy(mountpoint: "/c", controllers: ["hugetlb"], isUnified: isUnified)
        var facts = try HostFacts.detect()
        facts.cgroups = CgroupHost(layout: layout, hierarchies: [hierarchy])
        #expect(SpecHost(facts).limitsHugepages == limits)
        facts.cgroups = CgroupHost(layout: layout, hierarchies: [])
        #expect(!SpecHost(facts).limitsHugepages)
    }

    @Test func aPrivilegedContainerHasEverything() throws {
        var fixture = SpecFixture()
        fixture.config.security.privileged = true
        fixture.devices = [
            HostDevice(path: "/dev/sda", kind: "b", major: 8, minor: 0, mode: 0o660, uid: 0, gid: 6, access: "rwm")
        ]
        let spec = try fixture.build()
        #expect(spec.process?.capabilities?.effective == fixture.host.capabilities)
        #expect(spec.linux?.maskedPaths == nil)
        #expect(spec.linux?.readonlyPaths == nil)
        #expect(spec.linux?.devices?.map(\.path) == ["/dev/sda"])
        #expect(spec.linux?.resources?.devices == [.init(allow: true, access: "rwm")])
        #expect(spec.mounts?.first { $0.destination == "/sys" }?.options?.contains("rw") == true)
    }

    @Test func devicesOfTheConfigAreAllowedAndNoOthers() throws {
        var fixture = SpecFixture()
        fixture.devices = [
            HostDevice(path: "/dev/fuse", kind: "c", major: 10, minor: 229, mode: 0o666, uid: 0, gid: 0, access: "rw")
        ]
        #expect(
            try fixture.build().linux?.resources?.devices == [
                .init(allow: false, access: "rwm"), .init(allow: true, type: "c", major: 10, minor: 229, access: "rw"),
            ])
    }

    @Test func theAppArmorProfileIsTheProcesss() throws {
        var fixture = SpecFixture()
        #expect(try fixture.build().process?.apparmorProfile == nil)
        fixture.apparmor = "mine"
        #expect(try fixture.build().process?.apparmorProfile == "mine")
    }

    @Test func labelsAreThoseOfTheProcessAndOfMounts() throws {
        var fixture = SpecFixture()
        #expect(try fixture.build().process?.selinuxLabel == nil)
        #expect(try fixture.build().linux?.mountLabel == nil)
        fixture.selinux = SELinuxLabels(process: "u:r:c_t:s0:c1", files: "u:o:f_t:s0:c1")
        #expect(try fixture.build().process?.selinuxLabel == "u:r:c_t:s0:c1")
        fixture.selinux?.process = ""
        #expect(try fixture.build().process?.selinuxLabel == nil)
        #expect(try fixture.build().linux?.mountLabel == "u:o:f_t:s0:c1")
    }
}

@Suite("Capabilities of a container") struct CapabilitySetTests {
    private func permitted(_ change: (inout ContainerSecurityContext) -> Void) throws -> CapabilitySet {
        var security = ContainerSecurityContext()
        change(&security)
        return try CapabilitySet(security, host: SpecFixture().host)
    }

    @Test func addedAndDroppedOnesChangeTheDefaults() throws {
        let set = try permitted {
            $0.addCapabilities = ["net_admin"]
            $0.dropCapabilities = ["CAP_KILL"]
        }
        #expect(set.permitted == ["CAP_CHOWN", "CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN"])
        #expect(set.ambient.isEmpty)
    }

    @Test func allCanBeDroppedAndOneAdded() throws {
        let set = try permitted {
            $0.addCapabilities = ["NET_BIND_SERVICE"]
            $0.dropCapabilities = ["ALL"]
        }
        #expect(set.permitted == ["CAP_NET_BIND_SERVICE"])
    }

    @Test func allCanBeAddedAndOneDropped() throws {
        let set = try permitted {
            $0.addCapabilities = ["ALL"]
            $0.dropCapabilities = ["SYS_ADMIN"]
        }
        #expect(set.permitted == ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN"])
    }

    @Test func ambientOnesArePermittedAndInheritable() throws {
        let set = try permitted { $0.addAmbientCapabilities = ["NET_ADMIN"] }
        #expect(set.specification.ambient == ["CAP_NET_ADMIN"])
        #expect(set.specification.inheritable == ["CAP_NET_ADMIN"])
        #expect(set.permitted.contains("CAP_NET_ADMIN"))
    }

    @Test func anUnknownOneIsRefusedByName() throws {
        let error = try #require(throws: BerthError.self) { _ = try permitted { $0.addCapabilities = ["NET_ROOT"] } }
        #expect(error.message.contains("NET_ROOT"))
    }
}
