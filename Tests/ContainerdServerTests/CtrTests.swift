import Core
import Engine
import Foundation
import SystemPackage
import TestSupport
import Testing

/// Debian's ctr 1.6 on Berth's socket.
@Suite("ctr") struct CtrTests {
    @Test func tellsTheVersion() async throws {
        try await TestDaemon.run { daemon in
            let text = try await daemon.ctr("version")
            #expect(text.contains("Version:  0.1.0-test"))
            #expect(text.contains("Revision: berth"))
            #expect(text.contains(/UUID: [0-9a-f-]{36}/))
            #expect(try await daemon.ctr("plugins", "ls").contains(/io.containerd.snapshotter.v1\s+overlayfs/))
        }
    }

    @Test func makesAndListsNamespaces() async throws {
        try await TestDaemon.run { daemon in
            try await daemon.ctr("namespaces", "create", "mine", "color=red")
            #expect(try await daemon.ctr("namespaces", "ls").contains(/mine\s+color=red/))
            try await daemon.ctr("namespaces", "label", "mine", "color=", "shape=round")
            #expect(try await daemon.ctr("namespaces", "ls").contains(/mine\s+shape=round\s*\n/))
            #expect(await daemon.ctrFailure("namespaces", "create", "mine").contains("already exists"))
            #expect(await daemon.ctrFailure("namespaces", "create", "bad-").contains("must be 1 to 76"))
            try await daemon.ctr("namespaces", "rm", "mine")
            #expect(try await !daemon.ctr("namespaces", "ls").contains("mine"))
        }
    }

    @Test func importsListsExportsAndRemovesAnImage() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            let imported = try await daemon.ctr("images", "import", "--base-name", "example.test/box", fixture.archive)
            #expect(imported.contains("unpacking example.test/box:v1"))

            let list = try await daemon.ctr("images", "ls")
            #expect(list.contains(/example.test\/box:v1\s+application\/vnd.oci.image.manifest.v1\+json\s+sha256:/))
            #expect(list.contains("linux/amd64"))
            let check = try await daemon.ctr("images", "check")
            #expect(check.contains(/complete \(3\/3\)/))
            #expect(check.contains(/true\s*\n/))

            let snapshots = try await daemon.ctr("snapshots", "ls")
            #expect(snapshots.split(separator: "\n").count == 3, "two layers and the heading: \(snapshots)")
            #expect(try await daemon.ctr("snapshots", "tree").contains("\\_"))

            let exported = daemon.scratch.path.appending("exported.tar").string
            try await daemon.ctr("images", "export", exported, "example.test/box:v1")
            let inspected = try await Command.run("skopeo", ["inspect", "--config", "oci-archive:\(exported)"])
            #expect(inspected.contains("PATH=/bin"))

            try await daemon.ctr("images", "tag", "example.test/box:v1", "example.test/box:v2")
            try await daemon.ctr("images", "rm", "--sync", "example.test/box:v1")
            #expect(try await daemon.ctr("images", "ls", "-q") == "example.test/box:v2\n")
            #expect(try await daemon.ctr("content", "ls", "-q").split(separator: "\n").count == 4)
            try await daemon.ctr("images", "rm", "--sync", "example.test/box:v2")
            #expect(try await daemon.ctr("content", "ls", "-q") == "")
            #expect(try await daemon.ctr("snapshots", "ls").split(separator: "\n").count == 1)
            let files = try Self.files(below: daemon.scratch.path.appending("root"))
            #expect(files.filter { $0.contains("/blobs/sha256/") || $0.contains("/fs/") } == [])
        }
    }

    @Test func unpacksWhatTheImageSays() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            try await daemon.ctr("images", "import", "--base-name", "example.test/box", fixture.archive)
            let target = daemon.scratch.path.appending("mounted")
            try FileManager.default.createDirectory(atPath: target.string, withIntermediateDirectories: true)
            try await daemon.ctr("images", "mount", "example.test/box:v1", target.string)
            let etc = try FileManager.default.contentsOfDirectory(atPath: target.appending("etc").string).sorted()
            try await daemon.ctr("images", "unmount", "--rm", target.string)
            #expect(etc == ["kept", "second"])
        }
    }

    @Test func readsLabelsAndRemovesContent() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            try await daemon.ctr("images", "import", "--no-unpack", "--base-name", "example.test/box", fixture.archive)
            let image = try await daemon.images.named("example.test/box:v1", namespace: "default")
            let digest = "\(image.target.digest)"
            let manifest = try await daemon.ctr("content", "get", digest)
            #expect(manifest.contains("\"schemaVersion\":2"))
            try await daemon.ctr("content", "label", digest, "note=seen")
            #expect(try await daemon.ctr("content", "ls", "labels.note==seen").contains(digest))
            #expect(try await !daemon.ctr("content", "ls", "labels.note==other").contains(digest))
            #expect(await daemon.ctrFailure("content", "get", digest, namespace: "elsewhere").contains("not found"))
            try await daemon.ctr("content", "rm", digest)
            #expect(await daemon.ctrFailure("content", "get", digest).contains("not found"))
        }
    }

    @Test func writesContentAndChecksItsDigest() async throws {
        try await TestDaemon.run { daemon in
            let file = daemon.scratch.path.appending("blob").string
            let bytes = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            try bytes.write(to: URL(fileURLWithPath: file))
            let digest = "\(try Digest.of([UInt8](bytes)))"
            let script = "ctr -a \(daemon.socket) content ingest --expected-digest"
            let wrong = "sha256:" + String(repeating: "0", count: 64)
            await #expect(throws: CommandFailure.self) {
                try await Command.run("sh", ["-c", "\(script) \(wrong) ref1 < \(file)"])
            }
            // What was written stays for its client, which may begin again.
            #expect(try await daemon.ctr("content", "active").contains("ref1"))
            _ = try await Command.run(
                "sh", ["-c", "\(script) \(digest) --expected-size \(bytes.count) ref2 < \(file)"])
            let fetched = daemon.scratch.path.appending("fetched").string
            _ = try await Command.run("sh", ["-c", "ctr -a \(daemon.socket) content get \(digest) > \(fetched)"])
            #expect(try Data(contentsOf: URL(fileURLWithPath: fetched)) == bytes)
        }
    }

    @Test func preparesCommitsAndMeasuresSnapshots() async throws {
        try await TestDaemon.run { daemon in
            let mounts = try await daemon.ctr("snapshots", "prepare", "--target", "/nowhere", "work")
            #expect(mounts.contains("-t bind"))
            try await daemon.ctr("snapshots", "commit", "layer", "work")
            #expect(
                try await daemon.ctr("snapshots", "prepare", "--target", "/nowhere", "top", "layer").contains("-t bind")
                    == false)
            #expect(try await daemon.ctr("snapshots", "ls").contains(/top\s+layer\s+Active/))
            #expect(try await daemon.ctr("snapshots", "info", "layer").contains("\"Kind\": \"Committed\""))
            #expect(try await daemon.ctr("snapshots", "usage", "top").contains("top"))
            #expect(await daemon.ctrFailure("snapshots", "rm", "layer").contains("is the parent of \"top\""))
            #expect(await daemon.ctrFailure("snapshots", "prepare", "x", "absent").contains("not found"))
            #expect(await daemon.ctrFailure("snapshots", "--snapshotter", "zfs", "ls").contains("is not loaded"))
            try await daemon.ctr("snapshots", "rm", "top")
            try await daemon.ctr("snapshots", "rm", "layer")
        }
    }

    @Test func aDamagedBlobIsNotServed() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            try await daemon.ctr("images", "import", "--base-name", "example.test/box", fixture.archive)
            let blobs = daemon.scratch.path.appending("root/content/blobs/sha256").string
            let largest = try await Command.run("sh", ["-c", "ls -S \(blobs) | head -1 | tr -d '\\n'"])
            try await Command.run(
                "python3", ["-c", "f = open('\(blobs)/\(largest)', 'r+b'); f.seek(100); f.write(b'?')"])
            let message = await daemon.ctrFailure("content", "get", "sha256:\(largest)")
            #expect(message.contains("damaged"), "\(message)")
            let later = await daemon.ctrFailure("content", "get", "sha256:\(largest)")
            #expect(!later.hasPrefix("no failure"), "\(later)")
        }
    }

    @Test func makesALayerOfWhatASnapshotChanged() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            try await daemon.ctr("images", "import", "--base-name", "example.test/box", fixture.archive)
            let image = try #require(try await daemon.images.status(of: "example.test/box:v1", namespace: "default"))
            let top = try #require(try await daemon.images.unpack("\(image.id)", namespace: "default"))
            try await daemon.ctr("snapshots", "prepare", "work", "\(top)")
            let mounts = try await daemon.images.rootFS(containerID: "work", namespace: "default")
            let upper = try #require(mounts.writableDirectory).string
            try FileManager.default.createDirectory(atPath: upper + "/etc", withIntermediateDirectories: true)
            try "new".write(toFile: upper + "/etc/new", atomically: false, encoding: .utf8)
            let layer = daemon.scratch.path.appending("layer.tar.gz").string
            let script = "ctr -a \(daemon.socket) snapshots diff work > \(layer)"
            try await Command.run("sh", ["-c", script])
            #expect(
                try await Command.run("tar", ["-tzf", layer]).split(separator: "\n").sorted() == ["etc/", "etc/new"])
            try await daemon.ctr("snapshots", "commit", "mine", "work")
            try await Command.run("sh", ["-c", "ctr -a \(daemon.socket) snapshots diff mine > \(layer)"])
            #expect(try await Command.run("tar", ["-tzf", layer]).contains("etc/new"))
        }
    }

    @Test func leasesKeepContentFromTheCollector() async throws {
        try await TestDaemon.run { daemon in
            try await daemon.ctr("leases", "create", "--id", "mine", "purpose=test")
            #expect(try await daemon.ctr("leases", "ls").contains(/mine\s+\S+\s+.*purpose=test/))
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            try await daemon.ctr("images", "import", "--base-name", "example.test/box", fixture.archive)
            let target = try await daemon.images.named("example.test/box:v1", namespace: "default").target.digest
            try await daemon.images.leases.add((type: "content", id: "\(target)"), to: "mine", namespace: "default")
            try await daemon.ctr("images", "rm", "--sync", "example.test/box:v1")
            #expect(try await daemon.ctr("content", "ls", "-q").split(separator: "\n").count == 4)
            try await daemon.ctr("leases", "rm", "--sync", "mine")
            #expect(try await daemon.ctr("content", "ls", "-q") == "")
        }
    }

    @Test func watchesEvents() async throws {
        try await TestDaemon.run { daemon in
            let output = daemon.scratch.path.appending("events").string
            let script = "timeout 4 ctr -a \(daemon.socket) events > \(output) || true"
            async let watching = Command.run("sh", ["-c", script])
            try await Task.sleep(for: .seconds(1))
            try await daemon.ctr("namespaces", "create", "seen")
            try await daemon.ctr("snapshots", "prepare", "s")
            _ = try await watching
            let text = try String(contentsOfFile: output, encoding: .utf8)
            #expect(text.contains("/namespaces/create {\"name\":\"seen\""))
            #expect(text.contains("default /snapshot/prepare {\"key\":\"s\"}"))
        }
    }

    @Test func refusesACallWithoutNamespace() async throws {
        try await TestDaemon.run { daemon in
            #expect(await daemon.ctrFailure("images", "ls", namespace: "-").contains("must be 1 to 76"))
        }
    }

    static func files(below directory: FilePath) throws -> [String] {
        FileManager.default.enumerator(atPath: directory.string)?.compactMap { $0 as? String }.map { "/" + $0 } ?? []
    }
}
