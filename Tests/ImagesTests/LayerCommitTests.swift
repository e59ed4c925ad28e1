import Core
import Images
import LinuxKernel
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// The layers of an image become snapshots together.
struct LayerCommitTests {
    let scratch = try! ScratchDirectory("commit")

    /// Rows to which something happens when several are to be added for the first time.
    private final class Rows: SnapshotMetadata {
        private let rows = InMemorySnapshotMetadata()
        private let before: Mutex<(@Sendable (InMemorySnapshotMetadata) async throws -> Void)?>

        init(before: @escaping @Sendable (InMemorySnapshotMetadata) async throws -> Void) {
            self.before = Mutex(before)
        }

        func insert(_ infos: [SnapshotInfo]) async throws {
            let before = before.withLock { before in
                defer { if infos.count > 1 { before = nil } }
                return infos.count > 1 ? before : nil
            }
            try await before?(rows)
            try await rows.insert(infos)
        }

        func allocateID() async throws -> Int64 { try await rows.allocateID() }
        func get(_ key: String) async throws -> SnapshotInfo { try await rows.get(key) }
        func list() async throws -> [SnapshotInfo] { try await rows.list() }
        func commit(
            _ key: String, as name: String, usage: SnapshotUsage, labels: [String: String], updated: Int64
        ) async throws { try await rows.commit(key, as: name, usage: usage, labels: labels, updated: updated) }
        func setLabels(_ labels: [String: String], of key: String, updated: Int64) async throws -> SnapshotInfo {
            try await rows.setLabels(labels, of: key, updated: updated)
        }
        func retire(_ key: String) async throws -> SnapshotInfo { try await rows.retire(key) }
        func forget(_ id: Int64) async throws { try await rows.forget(id) }
        func chain(of key: String) async throws -> [SnapshotInfo] { try await rows.chain(of: key) }
    }

    private func stage(_ snapshotter: any Snapshotter) async throws -> [StagedLayer] {
        var layers: [StagedLayer] = []
        for number in 0..<3 {
            let staging = try await snapshotter.beginLayer()
            for file in 0...number { try Files.writeAtomically(staging.tree.appending("f\(file)"), [1]) }
            layers.append(StagedLayer(staging, name: "L\(number)", parent: number == 0 ? nil : "L\(number - 1)"))
        }
        return layers
    }

    @Test("each layer has the usage that is its own, and all of them are there")
    func together() async throws {
        let snapshotter = try OverlaySnapshotter(root: scratch.path.appending("s"), metadata: Rows { _ in })
        try await snapshotter.commitLayers(stage(snapshotter))
        for number in 0..<3 { #expect(try await snapshotter.usage("L\(number)").inodes == Int64(number + 2)) }
        #expect(try await snapshotter.layerDirectories("L2").count == 3)
        #expect(try Files.list(snapshotter.root).count == 3)
    }

    @Test("a layer that somebody else was faster with is as good, and its directory does not stay twice")
    func race() async throws {
        let snapshotter = try OverlaySnapshotter(
            root: scratch.path.appending("s"),
            metadata: Rows { rows in
                try await rows.insert([
                    SnapshotInfo(
                        id: rows.allocateID(), key: "L0", parent: nil, kind: .committed, labels: [:],
                        usage: SnapshotUsage(), created: 1, updated: 1)
                ])
            })
        try await snapshotter.commitLayers(stage(snapshotter))
        let chain = try await snapshotter.list().map(\.key).sorted()
        #expect(chain == ["L0", "L1", "L2"])
        // The other one's directory is its own matter.
        #expect(try Files.list(snapshotter.root).sorted() == ["2", "3"])
    }

    @Test("where the rows cannot be written, no layer stays")
    func failure() async throws {
        let snapshotter = try OverlaySnapshotter(
            root: scratch.path.appending("s"), metadata: Rows { _ in throw BerthError(.unavailable, "no database") })
        let error = await #expect(throws: BerthError.self) {
            try await snapshotter.commitLayers(stage(snapshotter))
        }
        #expect(error?.code == .unavailable)
        #expect(try await snapshotter.list().isEmpty)
        #expect(try Files.list(snapshotter.root).isEmpty)
    }
}
