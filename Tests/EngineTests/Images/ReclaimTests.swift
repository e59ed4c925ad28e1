import Core
import Foundation
import Images
import LinuxKernel
import Store
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite("Thresholds of the disk") struct ReclaimTests {
    /// An image service on a small disk of its own.
    private struct SmallStore {
        let scratch: ScratchDirectory
        let mount: FilePath
        let database: Store.Database
        let images: ImageService

        init(policy: ImagePolicy = ImagePolicy()) throws {
            scratch = try ScratchDirectory("reclaim")
            mount = try scratch.directory("disk")
            try Syscall.mount(source: "tmpfs", target: mount, type: "tmpfs", flags: [], data: "size=20m")
            database = try Store.Database(path: mount.appending("meta.db"))
            images = try ImageService(root: mount, database: database, registry: RegistryClient(), policy: policy)
        }

        func close() async {
            await images.shutdown()
            try? database.close()
            try? Syscall.umount2(mount, .detach)
        }

        /// An image of about 2 MiB, and as much when it is unpacked.
        func build(_ name: String) async throws -> Digest {
            var builder = RootFSImageBuilder()
            let content =
                [UInt8](repeating: UInt8(truncatingIfNeeded: name.hashValue), count: 2 << 20) + Array(name.utf8)
            try builder.add(.file(content: content, mode: 0o644), at: "/file")
            let (images, built) = (images, builder)
            try await images.leases.withLease(namespace: "k8s.io", for: "test") { scope in
                let target = try await images.storage.gate.withOperation {
                    let target = try built.build(into: images.storage.blobs)
                    try await images.adopt(target, scope: scope)
                    return target
                }
                let labels = images.policy.isPinned(name) ? [PinnedLabel.name: PinnedLabel.value] : [:]
                try await images.assign(name, to: target, labels: labels, in: scope)
            }
            _ = try await images.unpack(name)
            return try #require(try await images.status(of: name)?.id)
        }

        func names() async throws -> [String] { try await images.list().flatMap(\.tags).sorted() }
    }

    private func thresholds(_ high: Int, _ low: Int) -> DiskThresholds {
        var thresholds = DiskThresholds(high: high, low: low)
        thresholds.age = 0
        return thresholds
    }

    @Test func anImageThatAClientNamesForTheKubeletIsPinnedAsThePolicySays() async throws {
        var policy = ImagePolicy()
        policy.pinned = ["docker.io/library/pinned:*"]
        let store = try SmallStore(policy: policy)
        _ = try await store.build("docker.io/library/box:1")
        let target = try await store.images.named("docker.io/library/box:1", namespace: "k8s.io").target
        for namespace in ["k8s.io", "default"] {
            _ = try await store.images.create(
                NamedImage(name: "docker.io/library/pinned:1", target: target, labels: ["a": "b"]), namespace: namespace
            )
        }
        let seen = try await store.images.named("docker.io/library/pinned:1", namespace: "k8s.io").labels
        #expect(seen == ["a": "b", "io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"])
        #expect(try await store.images.named("docker.io/library/pinned:1", namespace: "default").labels == ["a": "b"])
        #expect(try await store.images.status(of: "docker.io/library/pinned:1")?.isPinned == true)
        await store.close()
    }

    @Test func whatWasNotUsedForLongestGoesUntilThereIsRoom() async throws {
        let store = try SmallStore()
        let names = (1...4).map { "docker.io/library/box:\($0)" }
        var ids: [Digest] = []
        for name in names { ids.append(try await store.build(name)) }
        // 16 MiB and a little of 20 are in use: four times 4.
        #expect(try await store.images.reclaim(thresholds(95, 50)) == [])
        // The first one is used once more.
        _ = try await store.images.prepareRootFS(containerID: "c", image: names[0])
        try await store.images.removeRootFS(containerID: "c")
        #expect(try await store.images.reclaim(thresholds(75, 50)) == [ids[1], ids[2]])
        #expect(try await store.names() == [names[0], names[3]])
        #expect(try await store.images.reclaim(thresholds(75, 50)) == [])
        await store.close()
    }

    @Test func whatIsInUsePinnedOrNewStays() async throws {
        var policy = ImagePolicy()
        policy.pinned = ["docker.io/library/pinned:1"]
        let store = try SmallStore(policy: policy)
        _ = try await store.build("docker.io/library/used:1")
        _ = try await store.build("docker.io/library/pinned:1")
        let other = try await store.build("docker.io/library/other:1")
        _ = try await store.images.prepareRootFS(containerID: "c", image: "used:1")
        try await store.database.put(
            ContainerRecord(id: "c", podID: "p", name: "c", createdAt: 1, version: 1, payload: []))
        #expect(try await store.images.reclaim(DiskThresholds(high: 1, low: 0)) == [], "all are new")
        #expect(try await store.images.reclaim(thresholds(1, 0)) == [other])
        #expect(try await store.names() == ["docker.io/library/pinned:1", "docker.io/library/used:1"])
        await store.close()
    }

    @Test(arguments: [(0, 0), (101, 5), (50, 50), (50, -1)])
    func wrongThresholdsAreRefused(high: Int, low: Int) {
        #expect(throws: BerthError.self) { try DiskThresholds(high: high, low: low).validate() }
    }
}
