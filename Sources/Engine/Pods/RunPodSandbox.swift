internal import Core
internal import LinuxKernel
internal import SystemPackage

extension Engine {
    /// Makes a pod: cgroup, namespaces, network, files.
    ///
    /// A repeated call for a pod that is ready answers its ID; one that comes while the first still works waits for it.
    /// A failed call leaves nothing behind.
    public func runPodSandbox(_ config: PodSandboxConfig, runtimeHandler: String = "") async throws -> String {
        try PodValidation.check(
            config, runtimeHandler: runtimeHandler, handlers: handlerNames, usesSystemd: configuration.usesSystemd)
        if let program = programs[runtimeHandler], config.security.namespaces.user?.mode == .pod,
            !program.features.hasUserNamespaces
        {
            throw BerthError(
                .failedPrecondition,
                "runtime handler \"\(runtimeHandler)\" has no user namespaces with idmapped mounts, which the pod asks for"
            )
        }
        return try await exclusively("name/\(config.metadata.reservedName)") {
            try await self.removeFailedAttempt(config)
            if let id = try self.existingPod(config) { return id }
            return try await self.makePod(config, runtimeHandler: runtimeHandler)
        }
    }

    /// A pod of this name that could not be made, nor taken apart at that time, gives its name up to the next attempt.
    private func removeFailedAttempt(_ config: PodSandboxConfig) async throws {
        guard let existing = registry.pod(named: config.metadata), existing.isFailedAttempt else { return }
        do {
            try await removePodSandbox(existing.id)
        } catch {
            throw BerthError.wrapping(
                error, "an earlier attempt, pod sandbox \(existing.id), failed and cannot be taken apart still")
        }
    }

    private func existingPod(_ config: PodSandboxConfig) throws -> String? {
        guard let existing = registry.pod(named: config.metadata) else { return nil }
        guard existing.state.isReady, existing.config == config else {
            throw BerthError(
                .alreadyExists,
                "pod \"\(config.metadata.namespace)/\(config.metadata.name)\" attempt \(config.metadata.attempt) exists "
                    + "as \(existing.id), \(existing.state.name)\(existing.config == config ? "" : ", with another configuration")",
                advice: "remove it, or raise the attempt")
        }
        return existing.id
    }

    private func makePod(_ config: PodSandboxConfig, runtimeHandler: String) async throws -> String {
        let id = Identifier.random()
        let cgroup = try self.cgroup(ofPod: id, config)
        return try await withRollback { rollback in
            var pod = PodSandbox(
                id: id, config: config, runtimeHandler: runtimeHandler, createdAt: WallClock.now(), state: .creating,
                resources: config.resources, overhead: config.overhead, cgroup: cgroup,
                ownsCgroup: !podCgroupExists(cgroup))
            pod.selinux = try labels(ofPod: config)
            // The record comes first: whatever of the pod is made afterwards can be found and removed after a crash.
            registry.insert(pod)
            rollback.onFailure("remove what was made of pod sandbox \(id)") { try await self.undo(pod) }
            try await store(pod: id)
            try Failpoint.reach("pod.run.recorded")

            let hostname = Self.hostname(of: pod)
            try makePodDirectory(pod, hostname: hostname)
            try Failpoint.reach("pod.run.directory")
            try await makePodCgroup(pod)
            try Failpoint.reach("pod.run.cgroup")
            let launched = try await pinNamespaces(of: pod, hostname: hostname)
            try registry.updatePod(id) { $0.initProcess = launched }
            try Failpoint.reach("pod.run.namespaces")
            if !pod.hasHostNetwork {
                let result = try await network.setUp(pod.networkRequest(layout))
                try registry.updatePod(id) { $0.network = result }
                try Failpoint.reach("pod.run.network")
            }
            try writePodFiles(registry.pod(id), hostname: hostname)
            try Failpoint.reach("pod.run.files")
            let made = try registry.pod(id)
            rollback.onFailure("tell the plugins") {
                await self.plugins.podSandboxStopped(made)
                await self.plugins.podSandboxRemoved(made)
            }
            try await plugins.runPodSandbox(made)
            plugins.podSandboxReady(try registry.updatePod(id) { $0.state = .ready })
            try await store(pod: id)
            try Failpoint.reach("pod.run.ready")
            publish(.created, id, pod: id)
            publish(.started, id, pod: id)
            return id
        }
    }

    /// What cannot be taken apart now (a network plugin fails, too) stays as a pod that is not ready, so that its client
    /// sees it and tries again.
    func undo(_ pod: PodSandbox) async throws {
        do {
            try await dismantle(pod, removing: true)
            registry.removePod(pod.id)
        } catch {
            try registry.updatePod(pod.id) {
                $0.state = .notReady(
                    since: WallClock.now(), reason: "\(PodSandbox.failedAttempt), nor taken apart: \(error)")
            }
            try await store(pod: pod.id)
            throw error
        }
        try await store(pod: pod.id)
    }

    static func hostname(of pod: PodSandbox) -> String {
        if !pod.config.hostname.isEmpty { return pod.config.hostname }
        if pod.hasHostNetwork, let host = try? Files.readText("/proc/sys/kernel/hostname", limit: 4096) { return host }
        return String(pod.id.prefix(12))
    }

    private func makePodDirectory(_ pod: PodSandbox, hostname: String) throws {
        do {
            try Files.makeDirectories(layout.namespaces(ofPod: pod.id), mode: 0o711)
            try Files.writeAtomically(layout.hostname(ofPod: pod.id), Array("\(hostname)\n".utf8), mode: 0o644)
            try Files.writeAtomically(
                layout.resolvConf(ofPod: pod.id), Array(PodFiles.resolvConf(pod.config.dns).utf8), mode: 0o644)
            if !pod.config.logDirectory.isEmpty {
                try Files.makeDirectories(FilePath(pod.config.logDirectory), mode: 0o755)
            }
            try own([layout.hostname(ofPod: pod.id), layout.resolvConf(ofPod: pod.id)], by: pod)
            guard pod.config.security.namespaces.ipc == .pod else { return }
            let shared = layout.sharedMemory(ofPod: pod.id)
            try Files.makeDirectories(shared, mode: 0o1777)
            let root = pod.userNamespace.map { ",uid=\($0.uids[0].hostID),gid=\($0.gids[0].hostID)" } ?? ""
            let context = pod.selinux.map { ",context=\"\($0.files)\"" } ?? ""
            try Syscall.mount(
                source: "shm", target: shared, type: "tmpfs", flags: [.noSUID, .noDevices, .noExec],
                data: "mode=1777,size=\(configuration.sharedMemorySize)\(root)\(context)")
        } catch let error as Errno {
            throw BerthError(
                Self.code(of: error), "could not make the directory of pod sandbox \(pod.id)", cause: error)
        }
    }

    /// The hosts file, which holds the addresses, comes after the network.
    private func writePodFiles(_ pod: PodSandbox, hostname: String) throws {
        let text = PodFiles.hosts(hostNetwork: pod.hasHostNetwork, hostname: hostname, addresses: pod.addresses)
        do {
            try Files.writeAtomically(layout.hosts(ofPod: pod.id), Array(text.utf8), mode: 0o644)
            try own([layout.hosts(ofPod: pod.id)], by: pod)
        } catch {
            throw BerthError(Self.code(of: error), "could not write \(layout.hosts(ofPod: pod.id))", cause: error)
        }
    }

    /// A full disk is the operator's to mend, and no defect.
    static func code(of error: Errno) -> BerthError.Code {
        error == .noSpace || error == .diskQuotaExceeded ? .resourceExhausted : .internal
    }

    /// Files that the root of the pod's user namespace may write, with the pod's label.
    private func own(_ paths: [FilePath], by pod: PodSandbox) throws(Errno) {
        if let label = pod.selinux?.files { for path in paths { try Relabel.tree(path, as: label) } }
        guard let user = pod.userNamespace else { return }
        for path in paths { try Syscall.fchownat(path, uid: user.uids[0].hostID, gid: user.gids[0].hostID) }
    }
}
