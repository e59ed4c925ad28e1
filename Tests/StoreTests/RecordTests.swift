import Core
import Store
import SystemPackage
import TestSupport
import Testing

@Suite("Records") struct RecordTests {
    let scratch: ScratchDirectory
    let database: Database
    let digest: Digest

    init() throws {
        scratch = try ScratchDirectory("store")
        database = try Database(path: scratch.path.appending("meta.db"))
        digest = try Digest(algorithm: .sha256, hex: String(repeating: "a", count: 64))
    }

    private func image(_ name: String, namespace: String = "default") -> ImageRecord {
        ImageRecord(
            namespace: namespace, name: name, targetMediaType: "application/json", targetDigest: digest, targetSize: 7,
            targetAnnotations: ["k": "v"], labels: ["x": "y"], createdAt: 1, updatedAt: 2)
    }

    private func snapshot(
        _ key: String, id: Int64, parent: String? = nil, kind: SnapshotRecord.Kind = .committed,
        namespace: String = "default"
    ) -> SnapshotRecord {
        SnapshotRecord(
            id: id, namespace: namespace, snapshotter: "overlayfs", key: key, parent: parent, kind: kind, createdAt: 1,
            updatedAt: 1)
    }

    @Test func imagesArePerNamespace() async throws {
        let (one, two) = (image("a"), image("a", namespace: "k8s.io"))
        try await database.write { transaction in
            try transaction.put(one)
            try transaction.put(two)
        }
        #expect(try await database.read { try $0.image("a", namespace: "default") } == one)
        #expect(try await database.read { try $0.images(namespace: "k8s.io") } == [two])
        #expect(try await database.read { try $0.images(namespace: nil) }.count == 2)
        let digest = digest
        #expect(try await database.read { try $0.images(target: digest, namespace: "default") } == [one])
        #expect(try await database.write { try $0.deleteImage("a", namespace: "default") })
        #expect(try await database.write { try $0.deleteImage("a", namespace: "default") } == false)
        #expect(try await database.read { try $0.image("a", namespace: "k8s.io") } == two)
    }

    @Test func aNamespaceComesWithTheFirstThingInIt() async throws {
        let one = image("a", namespace: "fresh")
        try await database.write { try $0.put(one) }
        #expect(try await database.read { try $0.namespaces().map(\.name) } == ["fresh"])
        #expect(try await database.read { try $0.contents(ofNamespace: "fresh") } == ["1 image"])
    }

    @Test func contentIsKnownAsLongAsOneNamespaceHasIt() async throws {
        let digest = digest
        let record = ContentRecord(
            namespace: "a", digest: digest, size: 3, labels: ["l": "v"], createdAt: 1, updatedAt: 1)
        var other = record
        other.namespace = "b"
        let second = other
        try await database.write { transaction in
            try transaction.put(record)
            try transaction.put(second)
        }
        #expect(try await database.read { try $0.content(digest, namespace: "a") } == record)
        try await database.write { try $0.deleteContent(digest, namespace: "a") }
        #expect(try await database.read { try $0.isContentKnown(digest) })
        try await database.write { try $0.deleteContent(digest, namespace: "b") }
        #expect(try await database.read { try $0.isContentKnown(digest) } == false)
    }

    @Test func snapshotNumbersAreNeverUsedAgain() async throws {
        let first = try await database.write { try $0.nextSnapshotIDs() }.lowerBound
        let record = snapshot("a", id: first)
        try await database.write { transaction in
            try transaction.insert(record)
            try transaction.deleteSnapshot(id: first)
        }
        #expect(try await database.write { try $0.nextSnapshotIDs(3) } == first + 1...first + 3)
        #expect(try await database.write { try $0.nextSnapshotIDs() } == first + 4...first + 4)
    }

    @Test func snapshotChainsGoDownToTheBase() async throws {
        let records = [
            snapshot("base", id: 1), snapshot("middle", id: 2, parent: "base"),
            snapshot("top", id: 3, parent: "middle"),
        ]
        try await database.write { transaction in for record in records { try transaction.insert(record) } }
        let chain = try await database.read {
            try $0.chain(ofSnapshot: "top", snapshotter: "overlayfs", namespace: "default").map(\.key)
        }
        #expect(chain == ["top", "middle", "base"])
        let child = try await database.read {
            try $0.child(ofSnapshot: "base", snapshotter: "overlayfs", namespace: "default")
        }
        #expect(child == records[1])
    }

    @Test func aTakenSnapshotKeyIsRefused() async throws {
        let (one, same) = (snapshot("a", id: 1), snapshot("a", id: 2))
        try await database.write { try $0.insert(one) }
        let error = await #expect(throws: BerthError.self) { try await database.write { try $0.insert(same) } }
        #expect(error?.code == .alreadyExists)
        #expect(error?.message == "snapshot \"a\" already exists")
    }

    @Test func aMissingParentIsReportedAsLoss() async throws {
        let orphan = snapshot("top", id: 2, parent: "gone")
        try await database.write { try $0.insert(orphan) }
        let error = await #expect(throws: BerthError.self) {
            try await database.read {
                try $0.chain(ofSnapshot: "top", snapshotter: "overlayfs", namespace: "default").count
            }
        }
        #expect(error?.code == .dataLoss)
    }

    @Test func deletingALeaseForgetsItsResources() async throws {
        let lease = LeaseRecord(namespace: "n", id: "l", labels: [:], createdAt: 1)
        let resource = LeaseResourceRecord(namespace: "n", lease: "l", type: "content", id: "sha256:x")
        try await database.write { transaction in
            try transaction.put(lease)
            try transaction.put(resource)
            try transaction.put(resource)
        }
        #expect(try await database.read { try $0.resources(ofLease: "l", namespace: "n") } == [resource])
        try await database.write { try $0.deleteLease("l", namespace: "n") }
        #expect(try await database.read { try $0.resources(ofLease: "l", namespace: "n") }.isEmpty)
    }

    @Test func podsKeepTheirPayload() async throws {
        let pod = PodRecord(id: "p", name: "name", createdAt: 5, version: 1, payload: [0, 255, 1])
        try await database.put(pod)
        #expect(try await database.pods() == [pod])
        var changed = pod
        changed.payload = []
        try await database.put(changed)
        #expect(try await database.pods() == [changed])
        #expect(try await database.deletePod(id: "p"))
        #expect(try await database.deletePod(id: "p") == false)
    }

    @Test func aPodNameIsReserved() async throws {
        try await database.put(PodRecord(id: "a", name: "same", createdAt: 1, version: 1, payload: []))
        let error = await #expect(throws: BerthError.self) {
            try await database.put(PodRecord(id: "b", name: "same", createdAt: 1, version: 1, payload: []))
        }
        #expect(error?.code == .alreadyExists)
        #expect(try await database.pods().map(\.id) == ["a"])
    }

    @Test func containersKeepTheirPayloadAndPod() async throws {
        let container = ContainerRecord(id: "c", podID: "p", name: "name", createdAt: 5, version: 2, payload: [1, 2])
        try await database.put(container)
        #expect(try await database.containers() == [container])
        #expect(try await database.deleteContainer(id: "c"))
        #expect(try await database.containers().isEmpty)
    }
}
