internal import Glibc
internal import LinuxKernel
internal import SystemPackage

extension CgroupHost {
    /// Containers are limited by it. Not so: one that only has a name, and that of v2 beside v1, which has at most what v1
    /// left over, and whose absence a limit that needs it tells.
    func limits(_ hierarchy: CgroupHierarchy) -> Bool {
        hierarchy.isUnified ? layout == .unified : hierarchy.controllers.contains { !$0.hasPrefix("name=") }
    }

    /// The hierarchies in which this process may make and join the cgroup `path`: what a user may without root's rights
    /// where nothing was delegated is none.
    func permitted(_ path: String) -> CgroupHost {
        let allowed = Cgroup(host: self, path: path).directories.filter { directory in
            var present = directory.path
            while present != directory.hierarchy.mountpoint, !Files.exists(present) { present.removeLastComponent() }
            guard Self.isWritable(present),
                present != directory.path || Self.isWritable(directory.path.appending("cgroup.procs"))
            else { return false }
            guard directory.hierarchy.isUnified else { return true }
            // A process moves within what it may write to as a whole (cgroup-v2, "Delegation Containment").
            let own = directory.hierarchy.directory(of: directory.hierarchy.ownPath)
            return Self.isWritable(Self.commonAncestor(own, directory.path).appending("cgroup.procs"))
        }
        let kept = Set(allowed.map(\.hierarchy))
        return keeping { kept.contains($0) }
    }

    func keeping(_ isKept: (CgroupHierarchy) -> Bool) -> CgroupHost {
        CgroupHost(layout: layout, hierarchies: hierarchies.filter(isKept))
    }

    /// The hierarchies by their mount points, each with the cgroup of this process.
    var bases: [String: String] {
        Dictionary(hierarchies.map { ($0.mountpoint.string, $0.ownPath) }) { first, _ in first }
    }

    /// The hierarchies that were mounted at these places, as a process in these cgroups sees them.
    func limited(to bases: [String: String]) -> CgroupHost {
        CgroupHost(
            layout: layout,
            hierarchies: hierarchies.compactMap { hierarchy in
                bases[hierarchy.mountpoint.string].map { base in
                    CgroupHierarchy(
                        mountpoint: hierarchy.mountpoint, root: hierarchy.root, controllers: hierarchy.controllers,
                        isUnified: hierarchy.isUnified, ownPath: base)
                }
            })
    }

    private static func isWritable(_ path: FilePath) -> Bool {
        faccessat(AT_FDCWD, path.string, W_OK, AT_EACCESS) == 0
    }

    static func commonAncestor(_ one: FilePath, _ other: FilePath) -> FilePath {
        var ancestor = one
        while !other.starts(with: ancestor), ancestor.lastComponent != nil { ancestor.removeLastComponent() }
        return ancestor
    }
}
