internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Where an exec'ed process goes: the container's cgroup, or the sub-cgroups that were asked for.
struct ExecPlacement {
    let container: KnownContainer

    /// - Parameter wanted: `PATH` for every hierarchy, or `CONTROLLER[,CONTROLLER...]:PATH`, relative to the container's cgroup.
    func cgroup(_ wanted: [String]) throws -> Cgroup {
        let own = container.cgroup.cgroup
        guard !wanted.isEmpty else { return fallback(own) }
        var directories = own.directories
        for entry in wanted {
            let (controllers, path) = try parse(entry, own)
            for index in directories.indices {
                let hierarchy = directories[index].hierarchy
                guard controllers.isEmpty || !Set(hierarchy.controllers).isDisjoint(with: controllers) else { continue }
                let relative = FilePath(root: nil, path.components)
                directories[index] = .init(
                    hierarchy: hierarchy, path: own.directories[index].path.pushing(relative))
            }
        }
        for (directory, before) in zip(directories, own.directories) where directory.path != before.path {
            guard Files.exists(directory.path) else {
                throw BerthError(
                    .notFound,
                    "--cgroup: adding pid to cgroup \(directory.path): no such file or directory")
            }
        }
        for directory in directories where directory.hierarchy.isUnified && handsDown(directory.path) {
            throw BerthError(
                .failedPrecondition,
                "--cgroup: adding pid of the process to cgroups \(directory.path): device or resource busy")
        }
        return Cgroup(layout: own.layout, directories: directories)
    }

    private func parse(_ entry: String, _ own: Cgroup) throws -> (controllers: [String], path: FilePath) {
        let parts = entry.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let controllers = parts.count == 2 ? parts[0].split(separator: ",").map(String.init) : []
        let path = FilePath(String(parts[parts.count - 1]))
        if FilePath(root: nil, path.components).lexicallyNormalized().components.first?.kind == .parentDirectory
            || path.components.contains(where: { $0.kind == .parentDirectory })
        {
            throw BerthError(
                .invalidArgument, "--cgroup: bad sub cgroup path \"\(entry.prefix(128))\": must not have ..")
        }
        for controller in controllers
        where !own.directories.contains(where: { $0.hierarchy.controllers.contains(controller) }) {
            throw BerthError(.invalidArgument, "--cgroup: unknown controller \(controller.prefix(64))")
        }
        return (controllers, path.lexicallyNormalized())
    }

    /// On v2 a cgroup that hands controllers down takes no process: an init like systemd has moved itself below it by then,
    /// and the process goes where that is. So it does where the container's cgroup is gone.
    private func fallback(_ own: Cgroup) -> Cgroup {
        guard own.layout == .unified, let unified = own.directories.first(where: { $0.hierarchy.isUnified }),
            handsDown(unified.path) || !Files.exists(unified.path),
            let text = try? Files.readText(FilePath("/proc/\(container.stored.pid)/cgroup")),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
        else { return own }
        let path = unified.hierarchy.directory(of: String(line.dropFirst(3)))
        return Cgroup(layout: own.layout, directories: [.init(hierarchy: unified.hierarchy, path: path)])
    }

    private func handsDown(_ path: FilePath) -> Bool {
        let threaded: Set<Substring> = ["cpu", "cpuset", "pids", "perf_event"]
        let controllers = (try? Files.readText(path.appending("cgroup.subtree_control")))?.split(separator: " ") ?? []
        return controllers.contains { !threaded.contains($0) }
    }
}
