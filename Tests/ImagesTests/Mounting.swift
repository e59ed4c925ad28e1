import Core
import Images
import LinuxKernel
import SystemPackage
import TestSupport

/// Shows a snapshot as a container sees it.
func withMount<Result>(
    _ mounts: SnapshotMounts, in scratch: ScratchDirectory, _ body: (FilePath) async throws -> Result
) async throws -> Result {
    let target = try scratch.directory("mnt-\(Identifier.random().prefix(8))")
    switch mounts {
    case .bind(let source, let readOnly):
        try Syscall.mount(source: source.string, target: target, type: nil, flags: .bind)
        if readOnly { try Syscall.mount(source: nil, target: target, type: nil, flags: [.bind, .remount, .readOnly]) }
    case .overlay(let overlay): try overlay.mount(at: target)
    }
    defer { try? Syscall.umount2(target, .detach) }
    return try await body(target)
}

/// Files of every kind, and what can be seen of them.
enum EveryFile {
    static func make(in tree: FilePath) async throws {
        try await Command.run("python3", ["-c", maker], directory: tree.string)
    }

    /// One line for each entry: path, mode, owner, size or device, links, time, attributes, digest of the content or target.
    static func list(_ tree: FilePath) async throws -> String {
        try await Command.run("python3", ["-c", lister], directory: tree.string)
    }

    private static let maker = """
        import os, stat
        def put(name, content, mode=0o644):
            with open(name, "wb") as f: f.write(content)
            os.chmod(name, mode)
        os.makedirs("d/e/f")
        put("d/empty", b"")
        put("d/one", b"x")
        for size in (1023, 1024, 1025, 4095, 4096, 4097, 8192, 8195, 3000000):
            put("d/size%d" % size, bytes(i * 7 % 251 for i in range(min(size, 9000))) + b"z" * max(0, size - 9000))
        put("suid", b"#!", 0o4755)
        os.chown("suid", 1000, 70000)
        os.chmod("suid", 0o4755)
        os.link("d/one", "d/e/second")
        os.link("d/one", "third")
        os.symlink("d/one", "link")
        os.symlink("/" + "x" * 4000, "long link")
        os.symlink("nowhere", "d/dangling")
        os.mkfifo("fifo", 0o600)
        os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod("disk", stat.S_IFBLK | 0o660, os.makedev(259, 300))
        os.mknod("deleted", stat.S_IFCHR, os.makedev(0, 0))
        os.mkdir("opaque", 0o700)
        os.setxattr("opaque", "trusted.overlay.opaque", b"y")
        os.setxattr("opaque", "trusted.note", b"f" * 3000)
        os.setxattr("d/one", "trusted.note", b"")
        os.setxattr("suid", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
        os.mkdir("many")
        for i in range(700): put("many/%s%d" % ("n" * (i % 200), i), b"%d" % i)
        for name in (b"new\\nline", b"not\\xfftext", b"!below a dot", b"-dash", b"." + b"\\x01", b"..more", b"...", b"\\x7f"):
            put(name, name)
        with open("sparse", "wb") as f:
            f.truncate(50 << 20)
            f.seek(20 << 20)
            f.write(b"middle")
        deep = "deep"
        for i in range(60): deep += "/" + "l" * 60
        os.makedirs(deep)
        put(deep + "/bottom", b"bottom")
        for folder, names, files in os.walk(b".", topdown=False):
            for name in names + files:
                os.utime(os.path.join(folder, name), ns=(1, 1234567890123456789), follow_symlinks=False)
        os.utime(".", ns=(1, -5000000001))
        os.chmod(".", 0o751)
        """

    private static let lister = """
        import os, stat, hashlib
        def show(path):
            s = os.lstat(path)
            kind = stat.S_IFMT(s.st_mode)
            text = [repr(path), oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns]
            if kind != stat.S_IFDIR: text += [s.st_nlink, s.st_size if kind == stat.S_IFREG else s.st_rdev]
            for name in sorted(os.listxattr(path, follow_symlinks=False)):
                if name in ("security.selinux",): continue
                text.append(name + "=" + os.getxattr(path, name, follow_symlinks=False).hex())
            if kind == stat.S_IFLNK: text.append(repr(os.readlink(path)))
            if kind == stat.S_IFREG: text.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
            print(*text)
        show(b".")
        for folder, names, files in os.walk(b"."):
            names.sort()
            for name in sorted(names + files): show(os.path.join(folder, name))
        """
}
