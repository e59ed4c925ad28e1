import Core
import Images
import LinuxKernel
import OCISpec
import SystemPackage
import TestSupport
import Testing

struct LayerDiffTests {
    let storage = try! Storage()

    private func tree(_ path: FilePath) async throws -> String {
        try await Command.run(
            "sh",
            [
                "-c",
                "find . -mindepth 1 -printf '%p %y %m %U:%G %s %T@ %n %l\\n' | sed 's/ c 0 0:0 .*/ whiteout/' | sort; getfattr -R -h -d -m - . 2>/dev/null | grep -v '^$' || true",
            ], directory: path.string)
    }

    @Test("a layer made of a tree unpacks to the same tree", arguments: [MediaType.layer, .layerGzip, .layerZstd])
    func roundTrip(mediaType: MediaType) async throws {
        let (original, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.add(
                    TarEntry(
                        kind: .directory, path: Array("d/".utf8), mode: 0o1755, owner: 1, group: 2, modifiedSeconds: 5,
                        modifiedNanoseconds: 6))
                try tar.add(
                    TarEntry(
                        path: Array("d/f".utf8), mode: 0o4711, owner: 3_000_000, modifiedSeconds: -2,
                        modifiedNanoseconds: 250_000_000,
                        attributes: [.init(name: Array("user.a".utf8), value: [0, 1, 2])]), Array("hello".utf8))
                try tar.hardLink("d/g", to: "d/f")
                try tar.symlink("l", to: "d/f")
                try tar.add(TarEntry(kind: .fifo, path: Array("p".utf8)))
                try tar.add(TarEntry(kind: .blockDevice, path: Array("b".utf8), deviceMajor: 259, deviceMinor: 1000))
                try tar.file(String(repeating: "x", count: 200) + "/" + String(repeating: "y", count: 200), "deep")
                try tar.file("d/.wh.gone")
                try tar.file("o/.wh..wh..opq")
                try tar.file("o/new", "new")
                try tar.file("empty")
                try tar.file("big", String(repeating: "0123456789", count: 250_000))
            })
        let layer = try await LayerDiff(content: storage.content).create(from: original, mediaType: mediaType)
        #expect(try storage.content.info(layer.descriptor.digest).size == layer.descriptor.size)
        let staging = try await storage.snapshotter.beginLayer()
        let unpacked = try await LayerUnpacker().unpack(
            storage.content.open(layer.descriptor.digest), mediaType: mediaType, into: staging.tree,
            expecting: layer.diffID)
        #expect(unpacked.tarSize == layer.tarSize)
        let (found, wanted) = (try await tree(staging.tree), try await tree(original))
        #expect(found == wanted)

        let again = try await LayerDiff(content: storage.content).create(from: staging.tree, mediaType: mediaType)
        #expect(again.descriptor == layer.descriptor)
    }

    @Test("what a mounted snapshot changes becomes a layer that makes the same tree elsewhere")
    func commit() async throws {
        let (lower, _) = try await storage.unpack(
            TestTar.make { tar in
                try tar.file("etc/kept", "k")
                try tar.file("etc/gone", "g")
                try tar.file("dir/a", "a")
                try tar.file("dir/b", "b")
            })
        let upper = try storage.scratch.directory("upper")
        let work = try storage.scratch.directory("work")
        let target = try storage.scratch.directory("merged")
        let options = "lowerdir=\(lower),upperdir=\(upper),workdir=\(work)"
        try Syscall.mount(source: "overlay", target: target, type: "overlay", flags: [], data: options)
        try await Command.run(
            "sh", ["-c", "rm etc/gone; rm -r dir; mkdir dir; echo c > dir/c; echo new > etc/new; chmod 600 etc/kept"],
            directory: target.string)
        let expected = try await Command.run("find", [".", "-printf", "%p %y %m\n"], directory: target.string)
        try Syscall.umount2(target)

        let layer = try await LayerDiff(content: storage.content).create(from: upper)
        let staging = try await storage.snapshotter.beginLayer()
        _ = try await LayerUnpacker().unpack(
            storage.content.open(layer.descriptor.digest), mediaType: .layerGzip, into: staging.tree, lower: [lower])
        try Syscall.mount(
            source: "overlay", target: target, type: "overlay", flags: .readOnly,
            data: "lowerdir=\(staging.tree):\(lower)")
        defer { try? Syscall.umount2(target, .detach) }
        let lines = try await Command.run("find", [".", "-printf", "%p %y %m\n"], directory: target.string)
        #expect(lines.split(separator: "\n").sorted() == expected.split(separator: "\n").sorted())
    }

    @Test("a file that looks like a whiteout is refused, and nothing is left")
    func whiteoutName() async throws {
        let directory = try storage.scratch.directory("tree")
        try Files.writeAtomically(directory.appending(".wh.x"), [1])
        let error = await #expect(throws: BerthError.self) {
            _ = try await LayerDiff(content: storage.content).create(from: directory)
        }
        #expect(error?.code == .invalidArgument)
        #expect(try storage.content.list().isEmpty)
        #expect(try storage.content.ingests().isEmpty)
    }

    @Test("applied to the one tree, the difference makes the other")
    func comparison() async throws {
        let scratch = try ScratchDirectory("diff")
        let content = try ContentStore(root: scratch.path.appending("content"))
        let (left, right) = (try scratch.directory("left"), try scratch.directory("right"))
        try await EveryFile.make(in: left)
        try await Command.run(
            "sh", ["-c", "cp -a --reflink=never . \(right) && rm -f \(right)/deleted deleted"], directory: left.string)
        try await Command.run(
            "sh",
            [
                "-ec",
                """
                rm -r many d/e
                echo longer >> suid
                ln d/one d/fourth
                ln -sf elsewhere link
                rm fifo && mkdir fifo && echo in > fifo/file
                rm -r opaque && echo file > opaque
                chmod 700 d && touch -d @77.5 d
                mkdir new && echo x > new/x
                python3 -c "import os; os.setxattr('d/empty', 'user.note', b'new'); os.utime('null', ns=(1, 5))"
                # Within the second that its time tells, the same size: only the content differs.
                touch -d @1000 d/size1023
                """,
            ], directory: right.string)
        try await Command.run(
            "sh",
            [
                "-c",
                "touch -d @1000 d/size1023; printf y | dd of=d/size1023 conv=notrunc status=none; touch -d @1000 d/size1023",
            ], directory: left.string)
        // Directories whose entries changed have other times by themselves; make the rest the same.
        let diff = LayerDiff(content: content)
        let layer = try await diff.create(from: [left], to: [right], mediaType: .layer)
        let again = try await diff.create(from: [left], to: [right], mediaType: .layer)
        #expect(layer.diffID == again.diffID)
        let nothing = try await diff.create(from: [right], to: [right], mediaType: .layer)
        #expect(nothing.tarSize == 1024)

        let wanted = try await EveryFile.list(right)
        _ = try await LayerUnpacker().unpackInPlace(
            .blob(content.open(layer.descriptor.digest)), mediaType: .layer, into: left, expecting: layer.diffID)
        let made = try await EveryFile.list(left)
        let (old, new) = (Set(wanted.split(separator: "\n")), Set(made.split(separator: "\n")))
        // The root itself is no entry of a layer; names of one file that the layer brings anew are the same file again.
        let different = old.symmetricDifference(new).filter { !$0.hasPrefix("b'.' ") }
        #expect(different.sorted() == [])
    }
}
