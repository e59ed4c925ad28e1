internal import Core
internal import LinuxKernel
internal import SystemPackage

/// A cgroup of one command's own below its container's: whatever it starts is found there, however often it forks and
/// changes sessions.
///
/// It is made in one hierarchy only, that has no controllers or limits nothing: cgroup2, else v1's `name=systemd`.
struct CommandCgroup: Sendable {
    /// The container's, with the child in place of it in the one hierarchy.
    let cgroup: Cgroup
    let directory: FilePath
    /// What other runtimes' `exec --cgroup` takes for it.
    let option: String
    private let parent: FilePath

    /// - Parameter named: not in the cgroup2 beside v1 hierarchies, which other runtimes may not use.
    /// - Returns: `nil` where the host has no such hierarchy: the command is then in its container's cgroup.
    init?(below container: Cgroup, named: Bool = false) {
        let hierarchies = Self.hierarchies(of: container).filter { !named || !$0.hierarchy.isUnified }
        guard let hierarchy = hierarchies.first, Files.exists(hierarchy.path) else { return nil }
        self.init(container, hierarchy, "\(Self.prefix)\(Identifier.random().prefix(12))")
        do throws(Errno) {
            try Syscall.mkdirat(directory, mode: 0o755)
        } catch {
            return nil
        }
    }

    private static let prefix = "exec-"
    private static let systemd = "name=systemd"

    /// The preferred one first.
    private static func hierarchies(of container: Cgroup) -> [Cgroup.Directory] {
        container.directories.filter { $0.hierarchy.isUnified }
            + container.directories.filter { $0.hierarchy.controllers.contains(systemd) }
    }

    /// Ends the commands that a killed daemon had running in the container, and takes their cgroups away: whoever waited
    /// for them has lost its connection.
    static func sweep(below container: Cgroup) {
        for hierarchy in hierarchies(of: container) {
            for name in (try? Files.list(hierarchy.path)) ?? [] where name.hasPrefix(prefix) {
                let left = CommandCgroup(container, hierarchy, name)
                left.kill()
                left.remove()
            }
        }
    }

    private init(_ container: Cgroup, _ hierarchy: Cgroup.Directory, _ name: String) {
        parent = hierarchy.path
        directory = hierarchy.path.appending(name)
        cgroup = Cgroup(container, child: name, at: hierarchy.hierarchy.mountpoint)
        option = hierarchy.hierarchy.isUnified ? name : "\(Self.systemd):\(name)"
    }

    /// SIGKILL for everything in it; what forks meanwhile is found by the next pass, where there is no cgroup.kill.
    func kill() {
        if (try? Files.writeKernelFile(directory.appending("cgroup.kill"), "1")) != nil { return }
        for _ in 0..<64 {
            let found = pids
            if found.isEmpty { return }
            for pid in found { try? Syscall.kill(pid, 9) }
        }
    }

    /// Takes the cgroup away beside everything else; what a command left running goes to the container's.
    func remove() {
        guard !removed else { return }
        Task.detached {
            for _ in 0..<100 {
                for pid in pids {
                    try? Files.writeKernelFile(parent.appending("cgroup.procs"), "\(pid)")
                }
                if removed { return }
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private var pids: [Int32] {
        ((try? Files.readText(directory.appending("cgroup.procs"))) ?? "").split(separator: "\n").compactMap {
            Int32($0)
        }
    }

    private var removed: Bool {
        do throws(Errno) {
            try Syscall.unlinkat(directory, removeDirectory: true)
            return true
        } catch {
            return error == .noSuchFileOrDirectory
        }
    }
}
