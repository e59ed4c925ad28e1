internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

extension Cgroup {
    /// The directory whose cgroup.procs lists every process of the container.
    var listingDirectory: FilePath? {
        if layout == .unified { return unifiedDirectory }
        for controller in ["memory", "pids", "devices", "freezer"] {
            if let directory = directory(of: controller) { return directory.path }
        }
        return directories.first?.path
    }
}

extension CgroupWrite {
    func message(in directory: FilePath) -> Berth_Launch_V1_WriteFile {
        .with {
            $0.path = directory.appending(file).string
            $0.value = Array(value.utf8).data
            $0.alternatives = alternatives.map { write in
                .with {
                    $0.path = directory.appending(write.file).string
                    $0.value = Array(write.value.utf8).data
                }
            }
            $0.ifPresent = ifPresent
        }
    }
}

extension ContainerCompilation {
    mutating func createCgroup() throws {
        try CgroupSteps(facts: facts, cgroup: cgroup, survey: options.cgroupSurvey).create(&steps)
        let resources = linux.resources ?? RuntimeSpec.Linux.Resources()
        var writes = try ResourceWrites.compile(resources, on: facts.cgroups)
        let rules = DeviceRules.effective(spec)
        if facts.cgroups.hierarchy(of: "devices") != nil { writes += DeviceRules.legacyWrites(rules) }
        for write in writes { try limit(write) }
        limitDevices(rules)
        delegateCgroup()
    }

    /// v2: before any process is there. A kernel without such programs leaves the devices to the rights of the nodes, which
    /// the step's warning tells.
    private mutating func limitDevices(_ rules: [DeviceRules.Rule]) {
        guard !rules.isEmpty, facts.cgroups.hierarchy(of: "devices") == nil,
            let directory = cgroup.cgroup.unifiedDirectory
        else { return }
        steps.host(
            "limit the devices of cgroup \(directory)", optional: !facts.hasDevicePrograms,
            .limitDevices(
                .with {
                    $0.directory = directory.string
                    $0.instructions = DeviceProgram(rules).bytes.data
                }))
    }

    /// To the user of the process, who then makes cgroups below it, as an init like systemd does (runtime specification,
    /// "Cgroup ownership").
    private mutating func delegateCgroup() {
        guard facts.cgroups.layout == .unified, facts.effectiveUserID == 0, namespaces.new.contains(.cgroup),
            let directory = cgroup.cgroup.unifiedDirectory, mountsCgroupsWritable,
            let owner = hostUserID(process.user?.uid ?? 0), owner != 0
        else { return }
        steps.host(
            "give cgroup \(directory) to user \(owner)",
            .delegateCgroup(
                .with {
                    $0.directory = directory.string
                    $0.uid = owner
                    $0.files = facts.delegatedFiles
                }))
    }

    private var mountsCgroupsWritable: Bool {
        let mount = (spec.mounts ?? []).last { destination($0) == "/sys/fs/cgroup" }
        guard let mount, mount.type == "cgroup" || mount.type == "cgroup2" else { return false }
        let options = MountOptions(mount.options ?? [])
        return !options.flags.contains(.readOnly) && !options.recursiveSet.contains(.readOnly)
    }

    /// `nil` in a user namespace that does not have it, or whose mappings are not in the configuration.
    private func hostUserID(_ id: UInt32) -> UInt32? {
        guard namespaces.isNewOrJoined(.user) else { return id }
        return (linux.uidMappings ?? []).hostID(of: id)
    }

    private mutating func limit(_ write: CgroupWrite) throws {
        guard let directory = cgroup.cgroup.directory(of: write.controller) else {
            throw BerthError(
                .failedPrecondition,
                "config.json: linux.resources: this host has no \(write.controller) cgroup controller")
        }
        steps.host("set \(write.file) to \(write.value)", .writeFile(write.message(in: directory.path)))
    }

    /// - Parameter asChild: the process writes itself to each v1 cgroup, which is cheaper; a process in a user namespace
    ///   may not.
    mutating func joinCgroups(asChild: Bool) {
        for directory in cgroup.cgroup.directories where !directory.hierarchy.isUnified {
            let words = "join cgroup \(directory.path)"
            let action = Berth_Launch_V1_JoinCgroup.with { $0.directory = directory.path.string }
            if asChild { steps.child(words, .joinCgroup(action)) } else { steps.host(words, .joinCgroup(action)) }
        }
    }
}

/// Steps that make a cgroup in each hierarchy.
struct CgroupSteps {
    let facts: HostFacts
    let cgroup: ContainerCgroup
    let survey: CgroupSurvey?

    func create(_ steps: inout PlanBuilder) throws {
        for directory in cgroup.cgroup.directories {
            let hierarchy = directory.hierarchy
            if hierarchy.isUnified {
                delegate(directory, &steps)
                continue
            }
            steps.host(
                "make cgroup \(directory.path)",
                .makeDirectory(
                    .with {
                        $0.path = directory.path.string
                        $0.mode = 0o755
                    }))
            guard hierarchy.controllers.contains("cpuset"), let cpuset = survey?.cpuset ?? facts.cpuset else {
                continue
            }
            // A v1 cpuset takes no process before it has CPUs and memory nodes.
            for path in missing(directory) {
                for (file, value) in [("cpuset.cpus", cpuset.cpus), ("cpuset.mems", cpuset.mems)] {
                    steps.host(
                        "set \(file) of \(path.lastComponent?.string ?? "/")",
                        .writeFile(
                            .with {
                                $0.path = path.appending(file).string
                                $0.value = Array(value.utf8).data
                            }))
                }
            }
        }
    }

    /// Controllers are handed down level by level; the last one, which holds the processes, hands nothing down.
    private func delegate(_ directory: Cgroup.Directory, _ steps: inout PlanBuilder) {
        let hierarchy = directory.hierarchy
        let controllers = hierarchy.controllers
        if !controllers.isEmpty, facts.cgroups.layout == .unified, survey?.handsDown != false {
            var parents: [FilePath] = []
            var current = directory.path
            while current != hierarchy.mountpoint, current.lastComponent != nil {
                current.removeLastComponent()
                parents.append(current)
            }
            let value = controllers.map { "+\($0)" }.joined(separator: " ")
            for parent in parents.reversed() {
                if parent != hierarchy.mountpoint {
                    steps.host(
                        "make cgroup \(parent)",
                        .makeDirectory(
                            .with {
                                $0.path = parent.string
                                $0.mode = 0o755
                            }))
                }
                // Refused where a cgroup has processes itself; a limit that needs it then fails by its own name.
                steps.host(
                    "hand down controllers of \(parent)", optional: true,
                    .writeFile(
                        .with {
                            $0.path = parent.appending("cgroup.subtree_control").string
                            $0.value = Array(value.utf8).data
                        }))
            }
        }
        steps.host(
            "make cgroup \(directory.path)",
            .makeDirectory(
                .with {
                    $0.path = directory.path.string
                    $0.mode = 0o755
                }))
    }

    private func missing(_ directory: Cgroup.Directory) -> [FilePath] {
        if let survey { return survey.missing.first { $0.mountpoint == directory.hierarchy.mountpoint }?.paths ?? [] }
        var paths: [FilePath] = []
        var current = directory.path
        while current != directory.hierarchy.mountpoint, current.lastComponent != nil {
            paths.append(current)
            current.removeLastComponent()
        }
        return paths.reversed()
    }
}
