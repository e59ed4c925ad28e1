import Core
import Store
import Testing

@testable import Engine

@Suite("Garbage graph") struct GarbageGraphTests {
    private func digest(_ character: Character) throws -> Digest {
        try Digest(algorithm: .sha256, hex: String(repeating: character, count: 64))
    }

    private func content(
        _ character: Character, _ labels: [String: String] = [:], namespace: String = "n"
    ) throws -> ContentRecord {
        ContentRecord(
            namespace: namespace, digest: try digest(character), size: 1, labels: labels, createdAt: 0, updatedAt: 0)
    }

    private func image(
        _ name: String, target: Character, labels: [String: String] = [:], namespace: String = "n"
    ) throws -> ImageRecord {
        ImageRecord(
            namespace: namespace, name: name, targetMediaType: "t", targetDigest: try digest(target), targetSize: 1,
            labels: labels, createdAt: 0, updatedAt: 0)
    }

    private func snapshot(
        _ key: String, id: Int64, parent: String? = nil, kind: SnapshotRecord.Kind = .committed,
        labels: [String: String] = [:], namespace: String = "n"
    ) -> SnapshotRecord {
        SnapshotRecord(
            id: id, namespace: namespace, snapshotter: "overlayfs", key: key, parent: parent, kind: kind,
            labels: labels,
            createdAt: 0, updatedAt: 0)
    }

    private func names(_ garbage: Garbage) -> [String] {
        garbage.images.map { "image \($0.name)" } + garbage.contents.map { "content \($0.digest.hex.prefix(1))" }
            + garbage.snapshots.map { "snapshot \($0.key)" } + garbage.leases.map { "lease \($0.id)" }
    }

    private func sweep(_ change: (inout GarbageInput) throws -> Void) throws -> [String] {
        var input = GarbageInput(now: 1_000_000_000_000_000_000)
        input.containerNamespace = "n"
        try change(&input)
        return names(GarbageGraph(input).garbage())
    }

    @Test func anImageKeepsItsTreeAndItsLayers() throws {
        let found = try sweep {
            $0.images = [try image("i", target: "a")]
            $0.contents = [
                try content("a", ["containerd.io/gc.ref.content.config": "\(digest("b"))"]),
                try content("b", ["containerd.io/gc.ref.snapshot.overlayfs": "top"]),
                try content("c"),
            ]
            $0.snapshots = [snapshot("base", id: 1), snapshot("top", id: 2, parent: "base"), snapshot("old", id: 3)]
        }
        #expect(found == ["content c", "snapshot old"])
    }

    @Test func referencesStayInTheirNamespace() throws {
        let found = try sweep {
            $0.images = [try image("i", target: "a", namespace: "other")]
            $0.contents = [try content("a"), try content("a", namespace: "other")]
        }
        #expect(found == ["content a"])
    }

    @Test func aLeaseKeepsWhatItHoldsUntilItExpires() throws {
        func input(_ label: String?) throws -> [String] {
            try sweep {
                $0.leases = [
                    LeaseRecord(
                        namespace: "n", id: "l", labels: label.map { ["containerd.io/gc.expire": $0] } ?? [:],
                        createdAt: 0)
                ]
                $0.leaseResources = [
                    LeaseResourceRecord(namespace: "n", lease: "l", type: "content", id: "\(try digest("a"))"),
                    LeaseResourceRecord(namespace: "n", lease: "l", type: "snapshots/overlayfs", id: "s"),
                ]
                $0.contents = [
                    try content("a", ["containerd.io/gc.ref.content.l.0": "\(digest("b"))"]), try content("b"),
                ]
                $0.snapshots = [snapshot("s", id: 1, kind: .active)]
            }
        }
        #expect(try input(nil) == [])
        #expect(try input("2100-01-01T00:00:00Z") == [])
        #expect(try input("no time") == [])
        #expect(try input("2001-01-01T00:00:00Z") == ["content a", "content b", "snapshot s", "lease l"])
    }

    @Test func aFlatLeaseKeepsOnlyWhatItNames() throws {
        let found = try sweep {
            $0.leases = [LeaseRecord(namespace: "n", id: "l", labels: ["containerd.io/gc.flat": "t"], createdAt: 0)]
            $0.leaseResources = [
                LeaseResourceRecord(namespace: "n", lease: "l", type: "content", id: "\(try digest("a"))"),
                LeaseResourceRecord(namespace: "n", lease: "l", type: "snapshots/overlayfs", id: "top"),
            ]
            $0.contents = [
                try content("a", ["containerd.io/gc.ref.content.l.0": "\(digest("b"))"]), try content("b"),
            ]
            $0.snapshots = [snapshot("base", id: 1), snapshot("top", id: 2, parent: "base")]
        }
        #expect(found == ["content b"])
    }

    @Test func aContainerKeepsItsSnapshotAndTheLayersBelow() throws {
        let found = try sweep {
            $0.containerSnapshots = ["c1"]
            $0.snapshots = [
                snapshot("base", id: 1), snapshot("c1", id: 2, parent: "base", kind: .active),
                snapshot("c2", id: 3, parent: "base", kind: .active),
            ]
        }
        #expect(found == ["snapshot c2"])
    }

    @Test func rootLabelsKeep() throws {
        let found = try sweep {
            $0.contents = [try content("a", ["containerd.io/gc.root": "now"]), try content("b")]
            $0.snapshots = [snapshot("s", id: 1, kind: .active, labels: ["containerd.io/gc.root": "now"])]
        }
        #expect(found == ["content b"])
    }

    @Test func backReferencesFollowTheirParent() throws {
        let found = try sweep {
            $0.images = [try image("i", target: "a")]
            $0.contents = [
                try content("a"), try content("b", ["containerd.io/gc.bref.content": "\(digest("a"))"]),
                try content("c", ["containerd.io/gc.bref.image.of": "i"]),
                try content("d", ["containerd.io/gc.bref.content": "\(digest("e"))"]), try content("e"),
            ]
        }
        #expect(found == ["content d", "content e"])
    }

    @Test func similarLabelsAreNoReferences() throws {
        let found = try sweep {
            $0.images = [try image("i", target: "a")]
            $0.contents = [
                try content(
                    "a", ["containerd.io/gc.ref.contents": "\(digest("b"))", "gc.ref.content": "\(digest("b"))"]),
                try content("b"),
            ]
        }
        #expect(found == ["content b"])
    }

    @Test func anImageWithAnExpiryGoesAfterIt() throws {
        let found = try sweep {
            $0.images = [
                try image("old", target: "a", labels: ["containerd.io/gc.expire": "2001-01-01T00:00:00Z"]),
                try image("new", target: "b", labels: ["containerd.io/gc.expire": "2100-01-01T00:00:00Z"]),
            ]
            $0.contents = [try content("a"), try content("b")]
        }
        #expect(found == ["image old", "content a"])
    }

    @Test func cyclesEnd() throws {
        let found = try sweep {
            $0.images = [try image("i", target: "a")]
            $0.contents = [
                try content("a", ["containerd.io/gc.ref.content": "\(digest("b"))"]),
                try content("b", ["containerd.io/gc.ref.content": "\(digest("a"))"]),
            ]
        }
        #expect(found == [])
    }
}

@Suite("RFC 3339") struct RFC3339Tests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:01.5Z", 1_500_000_000),
            ("2026-02-03T04:05:06Z", 1_770_091_506_000_000_000),
            ("2026-02-03T04:05:06+02:00", 1_770_084_306_000_000_000),
            ("2024-02-29T00:00:00-00:30", 1_709_166_600_000_000_000), ("1969-12-31T23:59:59Z", -1_000_000_000),
        ] as [(String, Int64)])
    func parses(_ text: String, expected: Int64) {
        #expect(RFC3339.parse(text) == expected)
    }

    @Test(arguments: [
        "", "2026", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.Z",
    ])
    func refuses(_ text: String) {
        #expect(RFC3339.parse(text) == nil)
    }

    @Test func formatsWhatItParses() {
        #expect(RFC3339.format(1_770_091_506_000_000_000) == "2026-02-03T04:05:06Z")
    }
}
