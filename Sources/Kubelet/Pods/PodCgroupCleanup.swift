internal import Glibc
internal import SystemPackage

extension PodCgroup {
    /// Removes the pod's own cgroup where the runtime has left it. Only empty ones can be removed, so this takes nothing
    /// from anyone; the folders of the QoS classes go when the last pod has gone.
    static func removeEmpty(uid: String, qos: QoSClass, root: String) {
        let pod = FilePath(parent(uid: uid, qos: qos, driver: .cgroupfs, root: root))
        for hierarchy in hierarchies() {
            var folder = pod
            while folder.components.contains("kubepods"), !folder.components.isEmpty {
                guard rmdir(hierarchy.pushing(folder.withoutRoot()).string) == 0 || errno == ENOENT else { break }
                folder.removeLastComponent()
            }
        }
    }

    /// Mount points of cgroup file systems (proc(5), mountinfo: the type follows the separator).
    private static func hierarchies() -> [FilePath] {
        guard let table = try? HostFiles.text("/proc/self/mountinfo", limit: 64 << 20) else { return [] }
        return table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard let separator = fields.firstIndex(of: "-"), separator + 1 < fields.count, fields.count > 4,
                ["cgroup", "cgroup2"].contains(fields[separator + 1])
            else { return nil }
            return FilePath(String(fields[4]))
        }
    }
}

extension FilePath {
    fileprivate func withoutRoot() -> FilePath { FilePath(root: nil, components) }
}
