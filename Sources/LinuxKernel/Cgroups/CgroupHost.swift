internal import Core
public import SystemPackage

/// How a host mounts its cgroups.
public enum CgroupLayout: String, Sendable, CaseIterable {
    /// cgroup2 alone, with the controllers.
    case unified
    /// cgroup v1 hierarchies alone.
    case legacy
    /// v1 hierarchies with the controllers, and a cgroup2 beside them (with none, or some that v1 does not use).
    case hybrid
}

/// One mounted cgroup hierarchy.
public struct CgroupHierarchy: Sendable, Hashable {
    public let mountpoint: FilePath
    /// The cgroup that is seen at the mountpoint; `/` unless cgroups are delegated without a cgroup namespace.
    public let root: String
    /// v1: as mounted (`cpu`, `cpuacct`, `name=systemd`). v2: what cgroup.controllers lists.
    public let controllers: [String]
    public let isUnified: Bool
    /// The cgroup of this process in the hierarchy, as /proc/self/cgroup tells it.
    public let ownPath: String

    public init(
        mountpoint: FilePath, root: String = "/", controllers: [String], isUnified: Bool, ownPath: String = "/"
    ) {
        self.mountpoint = mountpoint
        self.root = root
        self.controllers = controllers
        self.isUnified = isUnified
        self.ownPath = ownPath
    }

    /// The host directory of the cgroup `path` (absolute, in terms of /proc/self/cgroup).
    public func directory(of path: String) -> FilePath {
        var inner = FilePath(path)
        if root != "/" { _ = inner.removePrefix(FilePath(root)) }
        return mountpoint.appending(inner.string)
    }
}

/// The cgroups of this host: what is mounted where, found out once.
public struct CgroupHost: Sendable {
    public let layout: CgroupLayout
    public let hierarchies: [CgroupHierarchy]

    public init(layout: CgroupLayout, hierarchies: [CgroupHierarchy]) {
        self.layout = layout
        self.hierarchies = hierarchies
    }

    /// Reads /proc/self/cgroup, and /proc/self/mountinfo where that does not tell all.
    public static func detect() throws(Errno) -> CgroupHost {
        let own = try Files.readText("/proc/self/cgroup")
        if let host = try unifiedAtItsUsualPlace(own) { return host }
        let text = String(decoding: try Files.read("/proc/self/mountinfo", limit: 64 << 20), as: UTF8.self)
        return parse(mountInfo: text, ownCgroups: own, unifiedControllers: controllers)
    }

    /// Pure v2 where everybody has it. The table of mounts is long on a node with many containers, and this is asked at each call
    /// of the runtime.
    private static func unifiedAtItsUsualPlace(_ ownCgroups: String) throws(Errno) -> CgroupHost? {
        let mountpoint: FilePath = "/sys/fs/cgroup"
        let own = ownPaths(ownCgroups)
        guard own.count == 1, let (controller, path) = own.first, controller.isEmpty,
            let directory = try? Syscall.open(mountpoint, [.path, .directory])
        else { return nil }
        defer { directory.close() }
        guard try Syscall.filesystemType(directory.fd) == cgroup2Magic else { return nil }
        let hierarchy = CgroupHierarchy(
            mountpoint: mountpoint, controllers: controllers(at: mountpoint), isUnified: true, ownPath: path)
        // In a container that sees its own cgroup there, without a namespace, the path leads nowhere.
        guard Files.exists(hierarchy.directory(of: path)) else { return nil }
        return CgroupHost(layout: .unified, hierarchies: [hierarchy])
    }

    private static func controllers(at mountpoint: FilePath) -> [String] {
        let text = try? Files.readText(mountpoint.appending("cgroup.controllers"))
        return (text ?? "").split(separator: " ").map(String.init)
    }

    /// - Parameter unifiedControllers: what cgroup.controllers at a cgroup2 mountpoint lists.
    public static func parse(
        mountInfo: String, ownCgroups: String, unifiedControllers: (FilePath) -> [String]
    ) -> CgroupHost {
        // Most lines of mountinfo are of other types: a search for bytes is cheaper than parsing each.
        let relevant = mountInfo.utf8.split(separator: UInt8(ascii: "\n")).filter { isCgroupMount($0) }
        let mounts = relevant.compactMap(MountTable.entry)
        let own = ownPaths(ownCgroups)
        func ownPath(_ controller: String) -> String? { own.first { $0.controller == controller }?.path }

        var hierarchies: [CgroupHierarchy] = []
        var seen = SeenTexts()
        for mount in mounts where seen.insert(mount.device) {
            let mountpoint = FilePath(mount.target)
            if mount.type == "cgroup2" {
                hierarchies.append(
                    CgroupHierarchy(
                        mountpoint: mountpoint, root: mount.root, controllers: unifiedControllers(mountpoint),
                        isUnified: true, ownPath: ownPath("") ?? "/"))
            } else {
                let controllers = mount.superOptions.filter { ownPath($0) != nil }
                guard let first = controllers.first else { continue }
                hierarchies.append(
                    CgroupHierarchy(
                        mountpoint: mountpoint, root: mount.root, controllers: controllers, isUnified: false,
                        ownPath: ownPath(first) ?? "/"))
            }
        }
        let hasLegacy = hierarchies.contains { !$0.isUnified }
        let hasUnified = hierarchies.contains { $0.isUnified }
        let layout: CgroupLayout = hasLegacy ? (hasUnified ? .hybrid : .legacy) : .unified
        return CgroupHost(layout: layout, hierarchies: hierarchies)
    }

    private static func isCgroupMount(_ line: Substring.UTF8View) -> Bool {
        var rest = line
        while let dash = rest.firstIndex(of: UInt8(ascii: "-")) {
            if rest[dash...].starts(with: "- cgroup".utf8) { return true }
            rest = rest[rest.index(after: dash)...]
        }
        return false
    }

    /// `N:CONTROLLERS:PATH` lines by controller; the key of the cgroup2 line is empty.
    static func ownPaths(_ text: String) -> [(controller: String, path: String)] {
        var paths: [(controller: String, path: String)] = []
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let path = String(Substring(fields[2]))
            if fields[1].isEmpty { paths.append(("", path)) }
            for controller in fields[1].split(separator: UInt8(ascii: ",")) {
                paths.append((String(Substring(controller)), path))
            }
        }
        return paths
    }

    public var unified: CgroupHierarchy? { hierarchies.first { $0.isUnified } }

    /// The hierarchy that has `controller`; a v1 one first, since a controller is never in both.
    public func hierarchy(of controller: String) -> CgroupHierarchy? {
        hierarchies.first { $0.controllers.contains(controller) }
    }

    public var controllers: [String] {
        Array(Set(hierarchies.flatMap(\.controllers))).sorted()
    }
}

/// CGROUP2_SUPER_MAGIC of linux/magic.h.
private let cgroup2Magic: UInt64 = 0x6367_7270
