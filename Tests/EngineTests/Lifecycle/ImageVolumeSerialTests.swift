import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Volumes that images declare", .serialized) struct ImageVolumeSerialTests {
    private static let image = "docker.io/library/volumes:test"

    /// An image with three volumes: one has files, one is not in the image, one stands behind a link.
    private static func with(_ body: (EngineFixture) async throws -> Void) async throws {
        try await EngineFixture.with { fixture in
            try await fixture.addImage(image) {
                $0.execution.volumes = ["/data": .init(), "/srv/new/": .init(), "/link": .init()]
                try $0.add(.directory(mode: 0o1770), at: "/data")
                try $0.add(.file(content: Array("seed\n".utf8), mode: 0o640), at: "/data/deep/seed")
                try $0.add(.file(content: Array("behind\n".utf8), mode: 0o644), at: "/var/behind/it")
                try $0.add(.symlink(target: "/var/behind"), at: "/link")
            }
            try await body(fixture)
        }
    }

    private func start(
        _ fixture: EngineFixture, in pod: String, _ change: (inout ContainerConfig) -> Void = { _ in }
    ) async throws -> String {
        let config = fixture.containerConfig("sleep 100") {
            $0.image = ImageRequest(image: Self.image)
            $0.security.readonlyRootfs = true
            change(&$0)
        }
        let id = try await fixture.engine.createContainer(config, in: pod)
        try await fixture.engine.startContainer(id)
        return id
    }

    private func output(_ fixture: EngineFixture, _ id: String, _ command: String) async throws -> String {
        let result = try await fixture.engine.execSync(["/bin/sh", "-c", command], in: id)
        return String(decoding: result.stdout + result.stderr, as: UTF8.self)
    }

    @Test func aVolumeHasTheImagesFilesIsWritableAndGoesWithItsContainer() async throws {
        try await Self.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let before = try fixture.snapshot()
            let id = try await start(fixture, in: pod)
            #expect(try await output(fixture, id, "cat /data/deep/seed /link/it") == "seed\nbehind\n")
            #expect(try await output(fixture, id, "stat -c %a /data /data/deep/seed /srv/new") == "1770\n640\n755\n")
            #expect(
                try await output(fixture, id, "echo x >/data/x && echo x >/srv/new/x && echo x >/link/x && echo ok")
                    == "ok\n")
            #expect(try await output(fixture, id, "touch /x").contains("Read-only file system"))
            // What is written is in no layer of the container.
            #expect(try await output(fixture, id, "grep -c ' /data ' /proc/self/mountinfo") == "1\n")
            try await fixture.engine.removeContainer(id)
            #expect(try fixture.leftovers(since: before) == [])
            // A new container begins with the image's files again.
            let second = try await start(fixture, in: pod)
            #expect(try await output(fixture, second, "ls /data") == "deep\n")
        }
    }

    @Test func whatIsWrittenToAVolumeIsInTheUsage() async throws {
        try await Self.with { fixture in
            let engine = fixture.engine
            let pod = try await engine.runPodSandbox(fixture.podConfig())
            let before = try await engine.imageFilesystem().bytes
            let id = try await start(fixture, in: pod)
            #expect(try await output(fixture, id, "head -c 2000000 /dev/urandom >/data/x; sync; echo ok") == "ok\n")
            let layer = try #require(await engine.statistics(of: engine.container(id)).writableLayer)
            #expect((2_000_000..<3_000_000).contains(layer.usedBytes), "\(layer)")
            #expect(try await engine.imageFilesystem().bytes - before >= 2_000_000)
        }
    }

    @Test func whatTheRequestMountsComesBeforeAVolume() async throws {
        try await Self.with { fixture in
            let host = fixture.scratch.appending("host")
            try Files.makeDirectories(host)
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await start(fixture, in: pod) {
                $0.mounts = [ContainerMount(containerPath: "/data/", hostPath: host.string)]
            }
            #expect(try await output(fixture, id, "ls /data; echo from >/data/inside && echo ok") == "ok\n")
            #expect(try Files.readText(host.appending("inside")) == "from")
        }
    }

    @Test func volumesOfNobodyAreRemovedByTheNextStart() async throws {
        try await Self.with { fixture in
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let id = try await start(fixture, in: pod)
            _ = try await output(fixture, id, "echo kept >/data/kept")
            let volumes = fixture.scratch.appending("root/volumes")
            try Files.makeDirectories(volumes.appending("stray/0"))
            try await fixture.restart()
            #expect(try Files.list(volumes) == [id])
            #expect(try await output(fixture, id, "cat /data/kept") == "kept\n")
        }
    }

    @Test func aVolumeThatCannotBeIsRefusedByNameAndLeavesNothing() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.addImage("docker.io/library/file:test") {
                $0.execution.volumes = ["/etc/passwd": .init()]
            }
            try await fixture.addImage("docker.io/library/root:test") { $0.execution.volumes = ["/a/..": .init()] }
            let pod = try await fixture.engine.runPodSandbox(fixture.podConfig())
            let before = try fixture.snapshot()
            for (image, words) in [("file", "volume /etc/passwd"), ("root", "\"/a/..\"")] {
                let error = try await #require(throws: BerthError.self) {
                    try await fixture.engine.createContainer(
                        fixture.containerConfig("true") {
                            $0.image = ImageRequest(image: "docker.io/library/\(image):test")
                        }, in: pod)
                }
                #expect(error.code == .invalidArgument)
                #expect(error.description.contains(words))
            }
            #expect(try fixture.leftovers(since: before) == [])
        }
    }
}
