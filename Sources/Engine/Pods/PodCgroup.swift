internal import Core
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// Where the pod's containers go: the parent that the kubelet made for it, or a directory of its own.
    func cgroup(ofPod id: String, _ config: PodSandboxConfig) throws -> String {
        if case .systemd(_, let root) = driver { return try slice(ofPod: id, config, root: root) }
        let parent = config.cgroupParent
        if parent.isEmpty { return "\(configuration.cgroupParent)/\(id)" }
        return parent.hasPrefix("/") ? parent : "/\(parent)"
    }

    func podCgroupExists(_ path: String) -> Bool {
        Cgroup(host: facts.cgroups, path: path).exists
    }

    func makePodCgroup(_ pod: PodSandbox) async throws {
        if unit(of: pod.cgroup) != nil {
            // One that somebody else made is limited by whoever made it.
            if pod.ownsCgroup { try await startUnit(of: pod.cgroup, around: 0, resources: pod.resources) }
            return
        }
        do {
            do {
                try Cgroup(host: facts.cgroups, path: pod.cgroup).create()
            } catch .noSuchFileOrDirectory {
                // The last other pod went at this moment and took the common parent with it.
                try Cgroup(host: facts.cgroups, path: pod.cgroup).create()
            }
        } catch {
            throw BerthError(.internal, "could not make cgroup \(pod.cgroup) of pod sandbox \(pod.id)", cause: error)
        }
        if let resources = pod.resources, pod.ownsCgroup {
            try apply(ResourceTranslation.specification(resources, on: host), to: pod.cgroup)
        }
    }

    /// Removes the pod's cgroup if this engine made it. A parent that still holds others stays.
    func removePodCgroup(_ pod: PodSandbox) async throws {
        try await deleteCgroup(cgroup(of: pod.id, in: pod), of: pod.id)
        guard pod.ownsCgroup else { return }
        await stopUnit(of: pod.cgroup)
        removeIfEmpty(Cgroup(host: facts.cgroups, path: pod.cgroup))
        if pod.config.cgroupParent.isEmpty {
            removeIfEmpty(Cgroup(host: facts.cgroups, path: configuration.cgroupParent))
        }
    }

    private func removeIfEmpty(_ cgroup: Cgroup) {
        for directory in cgroup.directories {
            try? Syscall.unlinkat(directory.path, removeDirectory: true)
        }
    }

    /// Kills what is in `cgroup` and removes it; a missing one is no error.
    func deleteCgroup(_ path: String, of id: String) async throws {
        let cgroup = Cgroup(host: facts.cgroups, path: path)
        do {
            if cgroup.exists, unit(of: path) != nil {
                try cgroup.kill()
                await stopUnit(of: path)
            }
            guard cgroup.exists else { return }
            for attempt in 0..<8 {
                try cgroup.kill()
                do throws(Errno) {
                    try cgroup.delete(patience: 20)
                    return
                } catch .resourceBusy where attempt < 7 {
                    // A killed process takes a moment to leave; the thread is not kept meanwhile.
                    try? await Task.sleep(for: .milliseconds(10 << attempt))
                }
            }
        } catch {
            throw BerthError(.internal, "could not remove the cgroup of \(id)", cause: error)
        }
    }
}
