internal import Core
private import Glibc
internal import LinuxKernel
internal import SystemPackage

/// An overlay of a layer's tree over its parents, visible to the calling thread only.
///
/// The thread gets a mount namespace of its own, so nothing is left on the host if the process dies; it must end after this.
enum MergedTree {
    /// - Parameter scratch: a directory on the tree's filesystem; what is made in it is removed again.
    static func withMount<Result>(
        tree: FilePath, lower: [FilePath], scratch: FilePath, _ body: (FilePath) throws -> Result
    ) throws -> Result {
        let directory = scratch.appending("merge-\(Identifier.random().prefix(16))")
        let work = directory.appending("work")
        let target = directory.appending("merged")
        for path in [directory, work, target] { try EntryCalls.makeDirectory(path, mode: 0o700) }
        defer { try? EntryCalls.removeTree(directory) }
        do {
            try Syscall.unshareFilesystemState()
            try Syscall.unshare(.mount)
            try Syscall.mount(source: nil, target: "/", type: nil, flags: [.private, .recursive])
            // Relative names keep a long chain within the page that mount(2) has for options.
            let base = lower.first?.removingLastComponent().removingLastComponent() ?? scratch
            guard Glibc.chdir(base.string) == 0 else { throw Errno(rawValue: errno) }
            let options = [
                "lowerdir=" + lower.map { escaped(relative($0, to: base)) }.joined(separator: ":"),
                "upperdir=" + escaped(relative(tree, to: base)), "workdir=" + escaped(relative(work, to: base)),
                "index=off",
            ]
            try Syscall.mount(
                source: "overlay", target: target, type: "overlay", flags: [], data: options.joined(separator: ","))
        } catch {
            throw BerthError(.internal, "mount \(lower.count) layers to unpack another one over them", cause: error)
        }
        defer { try? Syscall.umount2(target, .detach) }
        return try body(target)
    }

    private static func relative(_ path: FilePath, to base: FilePath) -> String {
        var copy = path
        return copy.removePrefix(base) ? copy.string : path.string
    }

    /// overlayfs.rst: a colon or comma in a directory's name is written with a backslash.
    private static func escaped(_ path: String) -> String {
        var text = ""
        for character in path {
            if character == ":" || character == "," || character == "\\" { text.append("\\") }
            text.append(character)
        }
        return text
    }
}
