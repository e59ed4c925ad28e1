internal import LinuxKernel
public import SystemPackage

/// What a host has of the things that a container runtime makes, so that a test can say that a failure left nothing.
///
///     let before = try HostSnapshot(of: scratch.path, mark: name)
///     ... a call that fails ...
///     #expect(try HostSnapshot(of: scratch.path, mark: name).added(since: before) == [])
public struct HostSnapshot: Sendable {
    /// Each thing as a line: "mount /x", "cgroup memory/y", "link v0", "process 12 berth-launch", "file /x/y".
    public let things: Set<String>

    /// - Parameters:
    ///   - folders: whose files count, at any depth.
    ///   - mark: part of the name of everything that the test makes; processes count where their command line holds
    ///     it or where they are launchers, cgroups where their path does. Mounts below `folders` count, and all network links.
    public init(of folders: FilePath..., mark: String) throws {
        var things: Set<String> = []
        for mount in try MountTable.read()
        where mount.target.contains(mark) || folders.contains(where: { FilePath(mount.target).starts(with: $0) }) {
            things.insert("mount \(mount.target)")
        }
        for path in Self.cgroups(below: "/sys/fs/cgroup") where path.string.contains(mark) {
            things.insert("cgroup \(path)")
        }
        for link in (try? Files.list("/sys/class/net")) ?? [] { things.insert("link \(link)") }
        for pid in try ProcessStatus.all() {
            guard let bytes = try? Files.read(FilePath("/proc/\(pid)/cmdline"), limit: 1 << 16) else { continue }
            let line = String(decoding: bytes.map { $0 == 0 ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
            // Launchers and monitors name an ID alone; those of other tests are in both snapshots.
            let isLauncher = line.hasPrefix("berth-launch ") && Self.isOfThisMountNamespace(pid)
            if line.contains(mark) || isLauncher { things.insert("process \(pid) \(line)") }
        }
        for folder in folders { Self.files(below: folder) { things.insert("file \($0)") } }
        self.things = things
    }

    /// What is there now and was not there then, sorted.
    public func added(since before: HostSnapshot) -> [String] {
        things.subtracting(before.things).sorted()
    }

    private static func isOfThisMountNamespace(_ pid: Int32) -> Bool {
        let own = try? Syscall.readlinkat("/proc/self/ns/mnt")
        return own != nil && (try? Syscall.readlinkat(FilePath("/proc/\(pid)/ns/mnt"))) == own
    }

    private static func cgroups(below path: FilePath) -> [FilePath] {
        var found: [FilePath] = []
        var queue = [path]
        while let next = queue.popLast() {
            for name in (try? Files.list(next)) ?? [] {
                let child = next.appending(name)
                guard let status = try? Syscall.stat(child, follow: false), status.kind == .directory else { continue }
                found.append(child)
                queue.append(child)
            }
        }
        return found
    }

    private static func files(below path: FilePath, _ body: (FilePath) -> Void) {
        for name in (try? Files.list(path)) ?? [] {
            let child = path.appending(name)
            body(child)
            if let status = try? Syscall.stat(child, follow: false), status.kind == .directory {
                files(below: child, body)
            }
        }
    }
}
