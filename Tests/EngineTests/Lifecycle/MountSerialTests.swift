import Core
import LinuxKernel
import OCIRuntime
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Mounts and ids of containers", .serialized) struct MountSerialTests {
    /// What `command` prints in the container.
    private func output(_ fixture: EngineFixture, _ id: String, _ command: String) async throws -> String {
        let result = try await fixture.engine.execSync(["/bin/sh", "-c", command], in: id)
        return String(decoding: result.stdout + result.stderr, as: UTF8.self)
    }

    private func imageMount(_ path: String = "/volume", _ subPath: String? = nil) -> ContainerMount {
        var mount = ContainerMount(containerPath: path, hostPath: "")
        mount.image = ImageRequest(image: EngineFixture.image)
        mount.imageSubPath = subPath
        mount.readonly = true
        return mount
    }

    @Test func anImageIsMountedReadOnlyWholeAndInPart() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let before = try fixture.snapshot()
            let id = try await engine.createContainer(
                fixture.containerConfig("sleep 100") {
                    $0.mounts = [imageMount(), imageMount("/part", "bin")]
                }, in: pod)
            try await engine.startContainer(id)
            #expect(try await output(fixture, id, "/volume/bin/busybox echo runs") == "runs\n")
            #expect(try await output(fixture, id, "/part/busybox echo runs") == "runs\n")
            #expect(try await output(fixture, id, "touch /volume/x").contains("Read-only file system"))
            let image = try #require(try await engine.images.status(of: EngineFixture.image))
            #expect(try engine.container(id).mountedImages == ["0": "\(image.id)", "1": "\(image.id)"])
            // Removing the name does not take the layers from under the mount.
            try await engine.images.collectGarbage()
            #expect(try await output(fixture, id, "/volume/bin/busybox echo runs") == "runs\n")
            try await engine.removeContainer(id)
            #expect(try fixture.leftovers(since: before) == [])
        }
    }

    @Test func imageMountsThatCannotBeAreRefusedAndLeaveNothing() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let before = try fixture.snapshot()
            var writable = imageMount()
            writable.readonly = false
            var absent = imageMount()
            absent.image = ImageRequest(image: "docker.io/library/absent:1")
            for (mount, words) in [
                (writable, "readonly"), (absent, "absent"), (imageMount("/v", "no/such"), "image_sub_path"),
                (imageMount("/v", "../etc"), "image_sub_path"), (imageMount("/v", "/etc"), "image_sub_path"),
            ] {
                let error = try await #require(throws: BerthError.self) {
                    try await fixture.engine.createContainer(
                        fixture.containerConfig("true") { $0.mounts = [mount] }, in: pod)
                }
                #expect(error.description.contains(words))
            }
            #expect(try fixture.leftovers(since: before) == [])
        }
    }

    /// The scratch directory may be a tmpfs, which takes idmapped mounts since Linux 6.3.
    private static let mapsIDsOfScratch = SpecHost.here.hasUserNamespaces && KernelRelease.isAtLeast(6, 3)

    @Test(.enabled(if: mapsIDsOfScratch))
    func aPodHasItsOwnUserNamespace() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let before = try fixture.snapshot()
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            let user = UserNamespaceOptions(mode: .pod, uids: mapping, gids: mapping)
            let volume = fixture.scratch.appending("closed/volume")
            try Files.makeDirectories(volume, mode: 0o700)
            let config = fixture.podConfig {
                $0.security.namespaces.user = user
                $0.security.namespaces.pid = .pod
            }
            let pod = try await engine.runPodSandbox(config)
            for mode in [NamespaceOptions.Mode.pod, .container] {
                let id = try await engine.createContainer(
                    fixture.containerConfig("echo out >/from-root; sleep 100", name: "\(mode)") {
                        $0.security.namespaces.user = user
                        $0.security.namespaces.pid = mode
                        var mount = ContainerMount(containerPath: "/volume", hostPath: volume.string)
                        mount.uidMappings = mapping
                        mount.gidMappings = mapping
                        var image = imageMount("/image")
                        image.uidMappings = mapping
                        image.gidMappings = mapping
                        $0.mounts = [mount, image]
                    }, in: pod)
                try await engine.startContainer(id)
                let map = try await output(fixture, id, "cat /proc/self/uid_map")
                #expect(map.split(whereSeparator: \.isWhitespace) == ["0", "100000", "65536"])
                // The image's files, as volume and as root, are the container's root's; so is what it writes.
                #expect(
                    try await output(
                        fixture, id,
                        "until [ -s /from-root ]; do sleep 0.1; done; stat -c %u:%g /bin/busybox /image/bin/busybox /from-root /etc/hosts"
                    ) == "0:0\n0:0\n0:0\n0:0\n")
                #expect(try await output(fixture, id, "echo x >/volume/f; stat -c %u /volume/f") == "0\n")
                // By an idmapped mount root in the container is root on the volume.
                #expect(try Syscall.stat(volume.appending("f")).uid == 0)
                #expect(try await output(fixture, id, "echo x >/dev/shm/f && echo >>/etc/hosts && echo ok") == "ok\n")
                let process = try #require(try engine.container(id).process)
                #expect(try Syscall.stat(FilePath("/proc/\(process.pid)"), follow: true).uid == 100_000)
                try await engine.removeContainer(id)
            }
            try await engine.removePodSandbox(pod)
            #expect(try fixture.leftovers(since: before) == [])
        }
    }

    @Test(.enabled(if: mapsIDsOfScratch))
    func aPodWithItsOwnUserNamespaceMayHaveTheHostsNetwork() async throws {
        try await EngineFixture.with { fixture in
            let before = try fixture.snapshot()
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            let user = UserNamespaceOptions(mode: .pod, uids: mapping, gids: mapping)
            let pod = try await fixture.engine.runPodSandbox(
                fixture.podConfig {
                    $0.security.namespaces.user = user
                    $0.security.namespaces.network = .node
                })
            let id = try await fixture.engine.createContainer(
                fixture.containerConfig("sleep 100") {
                    $0.security.namespaces.user = user
                    $0.security.namespaces.network = .node
                }, in: pod)
            try await fixture.engine.startContainer(id)
            let own = try Syscall.readlinkat("/proc/self/ns/net")
            #expect(try await output(fixture, id, "readlink /proc/self/ns/net; id -u") == "\(own)\n0\n")
            #expect(try await output(fixture, id, "cat /sys/class/net/lo/address") == "00:00:00:00:00:00\n")
            // Neither its top nor a mount in it.
            let read = try await output(
                fixture, id, "grep ' /sys' /proc/self/mountinfo | grep -v ' /sys/fs/cgroup' | grep -vc ' ro,'")
            #expect(read == "0\n")
            #expect(try await output(fixture, id, "ip link set lo down 2>&1").contains("not permitted"))
            try await fixture.engine.removePodSandbox(pod)
            #expect(try fixture.leftovers(since: before) == [])
        }
    }

    /// As programs do that log to /dev/stderr by a link from their log file.
    @Test(.enabled(if: mapsIDsOfScratch), arguments: [nil, 1000] as [Int64?])
    func stdioCanBeOpenedByItsNameInAPodsOwnUserNamespace(uid: Int64?) async throws {
        try await EngineFixture.with { fixture in
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            let user = UserNamespaceOptions(mode: .pod, uids: mapping, gids: mapping)
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.user = user })
            let id = try await fixture.engine.createContainer(
                fixture.containerConfig("echo opened >/dev/stdout; sleep 100") {
                    $0.security.namespaces.user = user
                    $0.security.runAsUser = uid
                }, in: pod)
            try await fixture.engine.startContainer(id)
            try await eventually("the log") { fixture.log().contains("stdout F opened") }
            #expect(try await output(fixture, id, "echo out >/dev/stdout; echo err >/dev/stderr") == "out\nerr\n")
        }
    }

    @Test(.enabled(if: mapsIDsOfScratch))
    func aPodWithItsOwnUserNamespaceTakesMoreLayersThanAnOverlay() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let name = "docker.io/library/tall:test"
            try await fixture.addImage(name, further: 505)
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            let user = UserNamespaceOptions(mode: .pod, uids: mapping, gids: mapping)
            let pod = try await engine.runPodSandbox(fixture.podConfig { $0.security.namespaces.user = user })
            let before = try fixture.snapshot()
            let id = try await engine.createContainer(
                fixture.containerConfig("sleep 100") {
                    $0.security.namespaces.user = user
                    $0.image = ImageRequest(image: name)
                }, in: pod)
            try await engine.startContainer(id)
            #expect(try await output(fixture, id, "ls /layers | wc -l") == "505\n")
            // Of the lowest layers, which are one here, and of those above.
            let owners = try await output(fixture, id, "cd /layers; stat -c %u:%g /bin/busybox 0 499 504")
            #expect(owners == "0:0\n0:0\n0:0\n0:0\n")
            #expect(try await output(fixture, id, "cd /layers; cat 0 504; echo x >0; cat 0") == "0504x\n")
            try await engine.removeContainer(id)
            #expect(try fixture.leftovers(since: before) == [])
        }
    }

    @Test func aBidirectionalMountReachesTheHostAndTheRootDoesNot() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let shared = fixture.scratch.appending("shared")
            try Files.makeDirectories(shared.appending("inside"))
            try Syscall.mount(source: shared.string, target: shared, type: nil, flags: [.bind])
            defer { try? Syscall.umount2(shared, [.detach]) }
            try Syscall.mount(source: nil, target: shared, type: nil, flags: [.shared])
            // As on a host of systemd: the state directory's mount is shared, too.
            let state = fixture.scratch.appending("run")
            try Syscall.mount(source: state.string, target: state, type: nil, flags: [.bind, .recursive])
            defer { try? Syscall.umount2(state, [.detach]) }
            try Syscall.mount(source: nil, target: state, type: nil, flags: [.shared])
            let pod = try await engine.runPodSandbox(fixture.podConfig { $0.security.privileged = true })
            let id = try await engine.createContainer(
                fixture.containerConfig("sleep 100") {
                    $0.security.privileged = true
                    var mount = ContainerMount(containerPath: "/shared", hostPath: shared.string)
                    mount.propagation = .bidirectional
                    $0.mounts = [mount]
                }, in: pod)
            try await engine.startContainer(id)
            let rootfs = engine.layout.rootFS(of: id)
            #expect(!(try MountTable.read().contains { $0.target == rootfs.string }))
            #expect(try await output(fixture, id, "mount -t tmpfs inner /shared/inside && echo ok") == "ok\n")
            #expect(try MountTable.read().contains { $0.target == shared.appending("inside").string })
            // The end of the old root in the container took nothing of the host with it.
            #expect(try MountTable.read().contains { $0.target == shared.string })
            try await engine.removePodSandbox(pod)
        }
    }

    @Test(.enabled(if: SELinuxPolicy.load() == nil))
    func withoutSELinuxALabelIsToldToHaveNoEffect() async throws {
        try await EngineFixture.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let config = fixture.containerConfig("true") {
                var mount = ContainerMount(containerPath: "/etc/x", hostPath: "/etc")
                mount.selinuxRelabel = true
                $0.mounts = [mount]
                $0.security.selinux = SELinuxOptions(type: "spc_t")
            }
            let id = try await fixture.engine.createContainer(config, in: pod)
            #expect(
                try fixture.engine.container(id).warnings.filter { $0.contains("selinux") } == [
                    "config.linux.security_context.selinux_options ::spc_t: has no effect: this kernel runs without SELinux"
                ])
        }
    }

    @Test func aCDIDeviceIsInTheContainer() async throws {
        try await EngineFixture.with { fixture in
            let directory = fixture.scratch.appending("cdi")
            try Files.makeDirectories(directory)
            try Files.writeAtomically(
                directory.appending("z.yaml"),
                Array(
                    """
                    cdiVersion: 0.6.0
                    kind: example.com/thing
                    devices:
                    - name: zero
                      containerEdits:
                        env: [THING=zero]
                        deviceNodes:
                        - {path: /dev/thing0, hostPath: /dev/zero, permissions: r}
                    """.utf8))
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await fixture.engine.createContainer(
                fixture.containerConfig("sleep 100") { $0.cdiDevices = ["example.com/thing=zero"] }, in: pod)
            try await fixture.engine.startContainer(id)
            #expect(try await output(fixture, id, "echo $THING; head -c 2 /dev/thing0 | wc -c") == "zero\n2\n")
        }
    }
}

extension SpecHost {
    /// Of the machine that the tests run on.
    static var here: SpecHost { (try? SpecHost(HostFacts.detect())) ?? SpecHost() }
}
