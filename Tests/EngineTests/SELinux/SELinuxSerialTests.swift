import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// Under a kernel that runs SELinux and enforces the policy of Tests/Fixtures/SELinux: `hack/vm --selinux`.
@Suite(
    "Containers under SELinux", .serialized,
    .enabled(if: SELinuxPolicy.load() != nil && Files.exists("/sys/fs/selinux/enforce"), "SELinux is off"))
struct SELinuxSerialTests {
    private func output(_ fixture: EngineFixture, _ id: String, _ command: String) async throws -> String {
        let result = try await fixture.engine.execSync(["/bin/sh", "-c", command], in: id)
        return String(decoding: result.stdout + result.stderr, as: UTF8.self)
    }

    /// Of the first process, not of a command in it.
    private func context(_ fixture: EngineFixture, _ id: String) throws -> String {
        let pid = try #require(try fixture.engine.container(id).process?.pid)
        return try Files.readText(FilePath("/proc/\(pid)/attr/current")).filter { $0 != "\0" }
    }

    private func labels(_ fixture: EngineFixture, _ pod: String) throws -> SELinuxLabels {
        try #require(try fixture.engine.podSandbox(pod).selinux)
    }

    @Test func processesAndFilesHaveThePodsLabels() async throws {
        try await EngineFixture.with { fixture in
            let before = try fixture.snapshot()
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let labels = try labels(fixture, pod)
            #expect(labels.process.hasPrefix("system_u:system_r:container_t:s0:c"))
            let id = try await fixture.start("echo out >/made; sleep 100", in: pod)
            #expect(try context(fixture, id) == labels.process)
            #expect(try await output(fixture, id, "cat /proc/self/attr/current").contains(labels.process))
            let pid = try #require(try engine.container(id).process?.pid)
            for path in [
                "bin/busybox", "made", "dev", "dev/shm", "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc/acpi",
            ] {
                guard Files.exists(FilePath("/proc/\(pid)/root/\(path)")) else { continue }
                #expect(try fileContext(FilePath("/proc/\(pid)/root/\(path)")) == labels.files, "\(path)")
            }
            #expect(try await output(fixture, id, "echo x >/dev/shm/x && cat /dev/shm/x /etc/hosts /made") != "")
            try await engine.removePodSandbox(pod)
            #expect(try fixture.leftovers(since: before) == [])
        }
    }

    @Test func podsAreKeptApartByTheirLevels() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let shared = fixture.scratch.appending("shared")
            try Files.makeDirectories(shared)
            try Files.writeAtomically(shared.appending("file"), Array("text".utf8), mode: 0o644)
            func start(_ name: String, relabels: Bool) async throws -> (pod: String, id: String) {
                let pod = try await engine.runPodSandbox(fixture.podConfig(name))
                let id = try await engine.createContainer(
                    fixture.containerConfig("sleep 100", name: name) {
                        var mount = ContainerMount(containerPath: "/shared", hostPath: shared.string)
                        mount.selinuxRelabel = relabels
                        $0.mounts = [mount]
                    }, in: pod)
                try await engine.startContainer(id)
                return (pod, id)
            }
            let (one, other) = (try await start("one", relabels: true), try await start("other", relabels: false))
            #expect(try fileContext(shared.appending("file")) == labels(fixture, one.pod).files)
            #expect(try labels(fixture, one.pod) != labels(fixture, other.pod))
            let own = try await output(fixture, one.id, "cat /shared/file; echo new >/shared/new && echo ok")
            #expect(own == "textok\n")
            #expect(try await output(fixture, other.id, "cat /shared/file").contains("Permission denied"))
            let file = Array("system_u:object_r:secret_t:s0\0".utf8)
            try Syscall.lsetxattr(shared.appending("file"), "security.selinux", file)
            #expect(try await output(fixture, one.id, "cat /shared/file").contains("Permission denied"))
        }
    }

    @Test func whatIsAskedForComesFirstAndPrivilegedContainersHaveNone() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            let options = SELinuxOptions(type: "other_container_t", level: "s0:c5,c6")
            let asked = try await engine.runPodSandbox(fixture.podConfig { $0.security.selinux = options })
            #expect(try labels(fixture, asked).process == "system_u:system_r:other_container_t:s0:c5,c6")
            let pod = try await engine.runPodSandbox(fixture.podConfig("q") { $0.security.privileged = true })
            let level = try #require(SELinuxContext(try labels(fixture, pod).files)?.level)
            func start(_ name: String, _ change: (inout ContainerConfig) -> Void) async throws -> String {
                let id = try await engine.createContainer(
                    fixture.containerConfig("sleep 100", name: name, change), in: pod)
                try await engine.startContainer(id)
                return try context(fixture, id)
            }
            #expect(
                try await start("typed") { $0.security.selinux = SELinuxOptions(type: "other_container_t") }
                    == "system_u:system_r:other_container_t:\(level)")
            #expect(
                try await start("level") { $0.security.selinux = options }
                    == "system_u:system_r:other_container_t:s0:c5,c6")
            let own = try Files.readText("/proc/self/attr/current").filter { $0 != "\0" }
            #expect(try await start("privileged") { $0.security.privileged = true } == own)
            #expect(
                try await start("unprivileged") { $0.security.noNewPrivileges = true }
                    == "system_u:system_r:container_t:\(level)")
            let bad = try await #require(throws: BerthError.self) {
                _ = try await start("bad") { $0.security.selinux = SELinuxOptions(type: "no_such_t") }
            }
            #expect(bad.message.contains("no_such_t"), "\(bad)")
        }
    }

    @Test func volumesOfImagesAndMountedImagesCanBeRead() async throws {
        try await EngineFixture.with { fixture in
            let engine = fixture.engine
            try await fixture.addImage("docker.io/library/volume:test") { builder in
                try builder.add(.file(content: Array("kept".utf8), mode: 0o644), at: "/data/file")
                builder.execution.volumes = ["/data": .init()]
            }
            // The scratch directory is a tmpfs there.
            for maps in [false, true] where !maps || KernelRelease.isAtLeast(6, 3) {
                let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
                let user = maps ? UserNamespaceOptions(mode: .pod, uids: mapping, gids: mapping) : nil
                let pod = try await engine.runPodSandbox(
                    fixture.podConfig("p\(maps)") { $0.security.namespaces.user = user })
                let id = try await engine.createContainer(
                    fixture.containerConfig("sleep 100", name: "c\(maps)") {
                        $0.image = ImageRequest(image: "docker.io/library/volume:test")
                        $0.security.namespaces.user = user
                        var mount = ContainerMount(containerPath: "/image", hostPath: "")
                        mount.image = ImageRequest(image: EngineFixture.image)
                        mount.readonly = true
                        if maps { (mount.uidMappings, mount.gidMappings) = (mapping, mapping) }
                        $0.mounts = [mount]
                    }, in: pod)
                try await engine.startContainer(id)
                #expect(try await output(fixture, id, "cat /data/file; echo x >/data/x && echo ok") == "keptok\n")
                #expect(try await output(fixture, id, "/image/bin/busybox echo runs") == "runs\n")
                let pid = try #require(try engine.container(id).process?.pid)
                for path in ["bin/busybox", "image/bin/busybox", "data/file"] {
                    #expect(
                        try fileContext(FilePath("/proc/\(pid)/root/\(path)")) == labels(fixture, pod).files, "\(path)")
                }
            }
        }
    }
}
