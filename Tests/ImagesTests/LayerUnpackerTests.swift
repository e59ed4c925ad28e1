import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

struct LayerUnpackerTests {
    @Test("files, links, devices, modes, owners, times and attributes arrive as they are")
    func everything() async throws {
        let storage = try Storage()
        let tar = try TestTar.make { tar in
            try tar.add(
                TarEntry(
                    kind: .directory, path: Array("d/".utf8), mode: 0o2750, owner: 12, group: 34, modifiedSeconds: 1000,
                    modifiedNanoseconds: 5,
                    attributes: [.init(name: Array("user.color".utf8), value: Array("red".utf8))]))
            try tar.add(
                TarEntry(
                    path: Array("d/file".utf8), mode: 0o4755, owner: 70000, group: 3, modifiedSeconds: 1_234_567,
                    modifiedNanoseconds: 987_654_321,
                    attributes: [
                        .init(
                            name: Array("security.capability".utf8),
                            value: [1, 0, 0, 2, 0, 4, 0, 0] + [UInt8](repeating: 0, count: 12))
                    ]), Array("content".utf8))
            try tar.hardLink("hard", to: "d/file")
            try tar.symlink("soft", to: "/d/file")
            try tar.add(TarEntry(kind: .fifo, path: Array("pipe".utf8), mode: 0o620))
            try tar.add(
                TarEntry(
                    kind: .characterDevice, path: Array("null".utf8), mode: 0o666, deviceMajor: 1, deviceMinor: 3))
            try tar.file(String(repeating: "long/", count: 60) + "name", "deep")
            try tar.file("new\nline", "x")
        }
        let (tree, layer) = try await storage.unpack(tar)

        #expect(try layer.diffID == Digest.of(tar))
        #expect(layer.tarSize == Int64(tar.count))
        let file = try EntryCalls.status(tree.pushing("d/file"))
        #expect(file.permissions == 0o4755)
        #expect((file.owner, file.group) == (70000, 3))
        #expect((file.modifiedSeconds, file.modifiedNanoseconds) == (1_234_567, 987_654_321))
        #expect(file.links == 2)
        #expect(try EntryCalls.status(tree.appending("hard")).inode == file.inode)
        #expect(try text(tree.pushing("d/file")) == "content")
        #expect(try Syscall.lgetxattr(tree.pushing("d/file"), "security.capability").count == 20)
        let directory = try EntryCalls.status(tree.appending("d"))
        #expect(directory.permissions == 0o2750)
        #expect((directory.owner, directory.group) == (12, 34))
        #expect((directory.modifiedSeconds, directory.modifiedNanoseconds) == (1000, 5))
        #expect(try Syscall.lgetxattr(tree.appending("d"), "user.color") == Array("red".utf8))
        let null = try EntryCalls.status(tree.appending("null"))
        #expect((null.kind == .character, null.specialMajor, null.specialMinor) == (true, 1, 3))
        #expect(try EntryCalls.status(tree.appending("pipe")).permissions == 0o620)
        #expect(try text(tree.pushing(FilePath(String(repeating: "long/", count: 60) + "name"))) == "deep")
        #expect(try text(tree.appending("new\nline")) == "x")
        #expect(try TreeUsage.measure(tree).inodes == 60 + 2 + 6)
    }

    @Test("whiteouts and opaque directories take overlayfs's form")
    func whiteouts() async throws {
        let storage = try Storage()
        let (tree, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.file("a/.wh.gone")
                try tar.file("b/.wh..wh..opq")
                try tar.file("b/kept", "new")
                try tar.file(".wh..wh.plnk", "aufs's own")
                // Deleted and made anew: a directory that hides what is below.
                try tar.file(".wh.again")
                try tar.file("again/inside", "x")
                // The layer's own entry stays; only what is below is deleted.
                try tar.file("own", "own")
                try tar.file(".wh.own")
            })
        #expect(try EntryCalls.status(tree.pushing("a/gone")).isOverlayWhiteout)
        #expect(try Syscall.lgetxattr(tree.appending("b"), "trusted.overlay.opaque") == Array("y".utf8))
        #expect(try Syscall.lgetxattr(tree.appending("again"), "trusted.overlay.opaque") == Array("y".utf8))
        #expect(try text(tree.appending("own")) == "own")
        #expect(!Files.exists(tree.appending(".wh..wh.plnk")))
    }

    @Test("the last entry of a name wins, whatever it replaces")
    func replacing() async throws {
        let storage = try Storage()
        let (tree, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.directory("x")
                try tar.file("x/inside", "1")
                try tar.file("x", "file now")
                try tar.symlink("s", to: "x")
                try tar.file("s", "not through the link")
                try tar.file("y", "file")
                try tar.directory("y")
                try tar.file("y/inside", "2")
                try tar.directory("d")
                try tar.file("d/1", "1")
                try tar.directory("d", mode: 0o700)
            })
        #expect(try text(tree.appending("x")) == "file now")
        #expect(try text(tree.appending("s")) == "not through the link")
        #expect(try text(tree.pushing("y/inside")) == "2")
        #expect(try text(tree.pushing("d/1")) == "1")
        #expect(try EntryCalls.status(tree.appending("d")).permissions == 0o700)
    }

    @Test("a link inside the layer leads to inside the layer, also an absolute one")
    func linkedParent() async throws {
        let storage = try Storage()
        let (tree, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.directory("usr")
                try tar.directory("usr/lib")
                try tar.symlink("lib", to: "/usr/lib")
                try tar.symlink("up", to: "../../../usr")
                try tar.file("lib/a", "a")
                try tar.file("up/b", "b")
                try tar.file("lib/new/c", "c")
            })
        #expect(try text(tree.pushing("usr/lib/a")) == "a")
        #expect(try text(tree.pushing("usr/b")) == "b")
        #expect(try text(tree.pushing("usr/lib/new/c")) == "c")
    }

    @Test("directories that a layer does not describe look as they do below")
    func undescribedDirectories() async throws {
        let storage = try Storage()
        let (lower, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.add(
                    TarEntry(
                        kind: .directory, path: Array("var/".utf8), mode: 0o1777, owner: 5, group: 6,
                        modifiedSeconds: 77))
                try tar.add(TarEntry(kind: .directory, path: Array("./".utf8), mode: 0o711, owner: 9, group: 9))
            })
        let (tree, _) = try await storage.unpack(TestTar.make { try $0.file("var/log/x", "x") }, lower: [lower])
        let directory = try EntryCalls.status(tree.appending("var"))
        #expect((directory.permissions, directory.owner, directory.modifiedSeconds) == (0o1777, 5, 77))
        #expect(try EntryCalls.status(tree).permissions == 0o711)
        #expect(try EntryCalls.status(tree.pushing("var/log")).permissions == 0o755)
    }

    @Test("what refers to lower layers is unpacked over them")
    func needsParents() async throws {
        let storage = try Storage()
        let (lower, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.directory("usr/lib")
                try tar.file("usr/lib/old", "old")
                try tar.file("usr/gone", "x")
                try tar.symlink("lib", to: "usr/lib")
                try tar.file("top", "x")
            })
        let before = try HostSnapshot(of: storage.scratch.path, mark: storage.scratch.path.string)
        let (tree, layer) = try await storage.unpack(
            TestTar.make { tar in
                try tar.file("lib/new", "through the link below")
                try tar.hardLink("linked", to: "usr/lib/old")
                try tar.file("usr/.wh.gone")
                try tar.file(".wh.top")
            }, lower: [lower])
        #expect(try text(tree.pushing("usr/lib/new")) == "through the link below")
        #expect(try text(tree.appending("linked")) == "old")
        #expect(!Files.exists(tree.appending("lib")))
        #expect(try EntryCalls.status(tree.pushing("usr/gone")).isOverlayWhiteout)
        #expect(try EntryCalls.status(tree.appending("top")).isOverlayWhiteout)
        #expect(layer.diffID.hex.count == 64)
        let added = try HostSnapshot(of: storage.scratch.path, mark: storage.scratch.path.string).added(since: before)
        #expect(!added.contains { $0.hasPrefix("mount") || $0.contains("merge-") })
    }

    @Test("what is made in a set-group-ID directory of a lower layer has the owner that the layer says")
    func groupOfParent() async throws {
        let storage = try Storage()
        let below = try TestTar.make { tar in
            try tar.add(TarEntry(kind: .directory, path: Array("staff".utf8), mode: 0o2775, group: 50))
            try tar.file("old", "x")
        }
        let above = try TestTar.make { tar in
            // Makes the layer need what is below.
            try tar.hardLink("linked", to: "old")
            try tar.file("staff/file", "x")
            try tar.file("staff/made/file", "x")
            try tar.symlink("staff/link", to: "file")
            try tar.directory("staff/directory")
            try tar.add(TarEntry(kind: .fifo, path: Array("staff/fifo".utf8)))
        }
        let (lower, _) = try await storage.unpack(below)
        let (upper, _) = try await storage.unpack(above, lower: [lower])
        let whole = try storage.scratch.directory("whole")
        for tar in [below, above] {
            _ = try await LayerUnpacker().unpackInPlace(
                .blob(storage.content.open(storage.layer(tar).digest)), mediaType: .layer, into: whole)
        }
        for tree in [upper, whole] {
            #expect(try EntryCalls.status(tree.appending("staff")).group == 50)
            for name in ["file", "made", "made/file", "link", "directory", "fifo"] {
                let status = try EntryCalls.status(tree.pushing("staff").pushing(FilePath(name)))
                #expect(status.group == 0, "\(tree)/staff/\(name)")
                #expect(status.permissions & 0o2000 == 0, "\(tree)/staff/\(name)")
            }
        }
    }

    @Test("an opaque root hides all that is below")
    func opaqueRoot() async throws {
        let storage = try Storage()
        let (lower, _) = try await storage.unpack(TestTar.make { try $0.file("old", "x") })
        let (tree, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.file("new", "y")
                try tar.file(".wh..wh..opq")
            }, lower: [lower])
        #expect(try EntryCalls.status(tree.appending("old")).isOverlayWhiteout)
        #expect(try text(tree.appending("new")) == "y")
    }

    @Test("bytes after the archive's end belong to the layer's digest and are otherwise skipped")
    func trailingBytes() async throws {
        let storage = try Storage()
        let tar = try TestTar.make { try $0.file("a", "x") } + Array("garbage".utf8)
        let (tree, layer) = try await storage.unpack(tar)
        #expect(try layer.diffID == Digest.of(tar))
        #expect(try text(tree.appending("a")) == "x")
    }

    @Test("nesting deeper than any limit is neither a crash nor left behind")
    func deepNesting() async throws {
        let storage = try Storage()
        let deep = String(repeating: "d/", count: 300)
        // Each link leads to the end of a chain, so that the tree gets deeper than any path.
        let tar = try TestTar.make { tar in
            try tar.directory(deep)
            try tar.symlink("s1", to: deep)
            try tar.directory("s1/" + deep)
            try tar.file("s1/" + deep + "file", "x")
        }
        let staging = try await storage.snapshotter.beginLayer()
        let layer = try storage.layer(tar)
        _ = try? await LayerUnpacker().unpack(
            storage.content.open(layer.digest), mediaType: .layer, into: staging.tree)
        await storage.snapshotter.abandonLayer(staging)
        #expect(!Files.exists(staging.directory))
    }
}
