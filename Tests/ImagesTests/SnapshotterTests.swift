import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

/// The suite that every snapshotter must pass.
struct SnapshotterTests {
    struct Implementation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let make: @Sendable (FilePath) throws -> any Snapshotter
    }

    static let implementations = [
        Implementation(testDescription: "overlayfs") {
            try OverlaySnapshotter(root: $0, metadata: InMemorySnapshotMetadata())
        }
    ]

    let scratch = try! ScratchDirectory("snapshots")

    /// The directory that a snapshot's writer writes to.
    private func writable(_ mounts: SnapshotMounts) throws -> FilePath {
        switch mounts {
        case .bind(let source, false): source
        case .overlay(let overlay): FilePath(try #require(overlay.upper))
        default: throw BerthError(.internal, "not writable")
        }
    }

    @Test("prepare, commit and view show each other's files", arguments: implementations)
    func layers(implementation: Implementation) async throws {
        let snapshotter = try implementation.make(scratch.path.appending("s"))
        let base = try await snapshotter.prepare("a", parent: nil)
        try Files.writeAtomically(try writable(base).appending("one"), [1])
        try await snapshotter.commit("a", as: "A", labels: ["x": "y"])
        #expect(try await snapshotter.info("A").kind == .committed)
        #expect(try await snapshotter.info("A").labels == ["x": "y"])
        await expect(.notFound) { _ = try await snapshotter.info("a") }

        let second = try await snapshotter.prepare("b", parent: "A")
        #expect(try await snapshotter.mounts("b") == second)
        try Files.writeAtomically(try writable(second).appending("two"), [2])
        try await snapshotter.commit("b", as: "B")

        guard case .overlay(let third) = try await snapshotter.prepare("c", parent: "B") else {
            Issue.record("not an overlay")
            return
        }
        let target = try scratch.directory("mnt")
        try Syscall.mount(
            source: "overlay", target: target, type: "overlay", flags: [],
            data:
                "lowerdir=\(third.lower.joined(separator: ":")),upperdir=\(third.upper ?? ""),workdir=\(third.work ?? "")"
        )
        defer { try? Syscall.umount2(target, .detach) }
        #expect(try Files.list(target) == ["one", "two"])

        guard case .overlay(let view) = try await snapshotter.view("v", parent: "B") else {
            Issue.record("not an overlay")
            return
        }
        #expect((view.upper, view.lower.count) == (nil, 2))
        guard case .bind(_, true) = try await snapshotter.view("w", parent: "A") else {
            Issue.record("not a bind mount")
            return
        }
        #expect(try await Set(snapshotter.list().map(\.key)) == ["A", "B", "c", "v", "w"])
    }

    @Test("illegal steps are refused and leave nothing", arguments: implementations)
    func refusals(implementation: Implementation) async throws {
        let root = scratch.path.appending("s")
        let snapshotter = try implementation.make(root)
        _ = try await snapshotter.prepare("a", parent: nil)
        let before = try Files.list(root)
        await expect(.alreadyExists) { _ = try await snapshotter.prepare("a", parent: nil) }
        await expect(.notFound) { _ = try await snapshotter.prepare("b", parent: "missing") }
        await expect(.failedPrecondition) { _ = try await snapshotter.prepare("b", parent: "a") }
        await expect(.notFound) { try await snapshotter.commit("missing", as: "X") }
        await expect(.notFound) { try await snapshotter.remove("missing") }
        #expect(try Files.list(root) == before)
        try await snapshotter.commit("a", as: "A")
        await expect(.failedPrecondition) { try await snapshotter.commit("A", as: "B") }
        await expect(.failedPrecondition) { _ = try await snapshotter.mounts("A") }
        _ = try await snapshotter.prepare("c", parent: "A")
        await expect(.failedPrecondition) { try await snapshotter.remove("A") }
        await expect(.alreadyExists) { try await snapshotter.commit("c", as: "A") }
        try await snapshotter.remove("c")
        try await snapshotter.remove("A")
        #expect(try Files.list(root) == [])
    }

    @Test("usage counts allocated blocks and inodes, hard links once", arguments: implementations)
    func usage(implementation: Implementation) async throws {
        let snapshotter = try implementation.make(scratch.path.appending("s"))
        let tree = try writable(await snapshotter.prepare("a", parent: nil))
        let empty = try await snapshotter.usage("a")
        #expect(empty.inodes == 1)
        try Files.writeAtomically(tree.appending("f"), [UInt8](repeating: 1, count: 10_000))
        let directory = try OwnedDescriptor.directory(tree)
        defer { directory.close() }
        try EntryCalls.makeLink(directory.fd, "g", targetDirectory: directory.fd, target: "f")
        let usage = try await snapshotter.usage("a")
        #expect(usage.inodes == 2)
        #expect(usage.bytes - empty.bytes == 12_288)
        try await snapshotter.commit("a", as: "A")
        #expect(try await snapshotter.usage("A") == usage)
    }

    @Test("directories without a row are removed, others stay", arguments: implementations)
    func orphans(implementation: Implementation) async throws {
        let root = scratch.path.appending("s")
        let snapshotter = try implementation.make(root)
        _ = try await snapshotter.prepare("a", parent: nil)
        let before = try Files.list(root)
        _ = try await snapshotter.beginLayer()
        try Files.makeDirectories(root.pushing("999/fs/x"))
        #expect(try await snapshotter.removeOrphans() == 2)
        #expect(try Files.list(root) == before)
    }

    private func expect(_ code: BerthError.Code, _ body: () async throws -> Void) async {
        let error = await #expect(throws: BerthError.self) { try await body() }
        #expect(error?.code == code)
    }
}
