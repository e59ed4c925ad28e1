internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

extension ContainerCompilation {
    mutating func mountAll() throws {
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            try add(mount, field: "mounts[\(index)]")
        }
    }

    /// /dev is made read-only when its devices are there.
    static func isDev(_ mount: RuntimeSpec.Mount) -> Bool {
        destination(mount) == "/dev"
    }

    private mutating func add(_ mount: RuntimeSpec.Mount, field: String) throws {
        let options = MountOptions(mount)
        let target = destination(mount)
        if target == "/" {
            throw BerthError.invalid(
                field: "config.json: \(field).destination", value: mount.destination, rule: "must not be the root")
        }
        if mount.uidMappings?.isEmpty == false || options.idMap != nil, !options.isBind {
            throw BerthError(.unimplemented, "config.json: \(field).uidMappings: is supported for bind mounts alone")
        }
        if options.isBind {
            try bind(mount, options, target, field)
        } else if options.flags.contains(.remount) {
            remount(mount, options, target)
        } else if mount.type == "cgroup" || mount.type == "cgroup2" {
            try mountCgroups(options, target, field)
        } else {
            new(mount, options, target)
        }
        finish(options, target)
    }

    /// Relative destinations are meant from the root (specification 1.0).
    private static func destination(_ mount: RuntimeSpec.Mount) -> String {
        let path = FilePath(mount.destination)
        return (path.isAbsolute ? path : FilePath("/").pushing(path)).lexicallyNormalized().string
    }

    /// One that stands there with the root's path on the host is taken without it, as runc does.
    func destination(_ mount: RuntimeSpec.Mount) -> String {
        var path = FilePath(Self.destination(mount))
        if rootfs != "/", path.starts(with: rootfs), path.removePrefix(rootfs) {
            return FilePath("/").pushing(path).string
        }
        return path.string
    }

    /// What one mount(2) cannot do: propagation, recursive attributes.
    private mutating func finish(_ options: MountOptions, _ target: String) {
        for propagation in options.propagation {
            steps.child(
                "set the propagation of \(target)",
                .setPropagation(
                    .with {
                        $0.target = target
                        $0.propagation = propagation.rawValue
                    }))
        }
        if !options.recursiveSet.isEmpty || !options.recursiveClear.isEmpty {
            steps.child(
                "set the attributes below \(target)",
                .setMountAttributes(
                    .with {
                        $0.target = target
                        $0.setAttributes = options.recursiveSet.rawValue
                        $0.clearAttributes_p = options.recursiveClear.rawValue
                        $0.recursive = true
                    }))
        }
    }

    private mutating func mountpoint(
        _ target: String, _ kind: Berth_Launch_V1_CreateMountpoint.Kind, source: String = ""
    ) {
        steps.child(
            "make the mountpoint \(target)",
            .createMountpoint(
                .with {
                    $0.target = target
                    $0.kind = kind
                    $0.source = source
                }))
    }

    private mutating func new(_ mount: RuntimeSpec.Mount, _ options: MountOptions, _ target: String) {
        guard let type = mount.type, !type.isEmpty, type != "none" else {
            // Only the propagation of what is there changes.
            return
        }
        mountpoint(target, .directory)
        let late = Self.isDev(mount) && options.flags.contains(.readOnly)
        let hasMode = options.data.contains { $0.hasPrefix("mode=") }
        steps.child(
            "mount \(type) at \(target)",
            .mount(
                .with {
                    $0.type = type
                    $0.source = mount.source ?? ""
                    $0.target = target
                    $0.flags = (late ? options.flags.subtracting(.readOnly) : options.flags).rawValue
                    $0.data = labelled(options.data, type).joined(separator: ",")
                    $0.copyUp = options.copyUp && type == "tmpfs"
                    $0.inheritMode = type == "tmpfs" && !hasMode
                }))
    }

    /// `linux.mountLabel`, for filesystems that take one (SELinux labels those of the kernel by itself).
    private func labelled(_ data: [String], _ type: String) -> [String] {
        guard let label = linux.mountLabel, !label.isEmpty, facts.hasSELinux,
            !["proc", "sysfs", "cgroup", "cgroup2", "mqueue"].contains(type),
            !data.contains(where: { $0.hasPrefix("context=") })
        else { return data }
        return data + ["context=\"\(label)\""]
    }

    private mutating func remount(_ mount: RuntimeSpec.Mount, _ options: MountOptions, _ target: String) {
        steps.child(
            "remount \(target)",
            .mount(
                .with {
                    $0.type = mount.type ?? ""
                    $0.source = mount.source ?? ""
                    $0.target = target
                    $0.flags = options.flags.rawValue
                    $0.data = options.data.joined(separator: ",")
                }))
    }

    private mutating func bind(
        _ mount: RuntimeSpec.Mount, _ options: MountOptions, _ target: String, _ field: String
    ) throws {
        guard mount.source?.isEmpty == false else {
            throw BerthError(.invalidArgument, "config.json: \(field).source: must not be empty for a bind mount")
        }
        let source = mount.sourcePath(in: self.options.bundle)
        if !options.data.isEmpty, options.data != ["private"] {
            throw BerthError.invalid(
                field: "config.json: \(field).options", value: options.data.joined(separator: ","),
                rule: "is no option of a bind mount")
        }
        let uids = mount.uidMappings ?? []
        let gids = mount.gidMappings ?? []
        let ownMappings = options.idMap != nil && uids.isEmpty
        if ownMappings, !namespaces.isNewOrJoined(.user) {
            throw BerthError(
                .invalidArgument,
                "config.json: \(field).options: idmap needs mappings of ids, or a user namespace in linux.namespaces")
        }
        let attributes = options.attributes(inUserNamespace: namespaces.isNewOrJoined(.user))
        // A user namespace has no right to paths of the host, and nobody in it may map ids. An ordinary user has the same
        // rights inside and outside.
        let byHost =
            ownMappings || !uids.isEmpty || (namespaces.isNewOrJoined(.user) && facts.effectiveUserID == 0)
        steps.child(
            "bind \(source) at \(target)",
            .bindMount(
                .with {
                    $0.source = source.string
                    $0.target = target
                    $0.recursive = options.isRecursiveBind
                    $0.makeTarget = true
                    $0.opener = !byHost ? .byChild : isInRoot(source) ? .byHostInChild : .byHost
                    $0.recursiveMappings = options.idMap == .recursive
                    $0.mappedAsChild = ownMappings && !namespaces.joinsUser
                    if ownMappings { $0.mappingsPath = namespaces.path(.user) ?? "" }
                    $0.lockedAttributes = attributes.locked.rawValue
                    $0.lockedAccessTime = namespaces.isNewOrJoined(.user) && options.setsAccessTime
                    $0.setAttributes = attributes.set.rawValue
                    $0.clearAttributes_p = attributes.clear.rawValue
                    $0.uids = uids.map(\.message)
                    $0.gids = gids.map(\.message)
                }))
    }

    /// Whether a host's path is one of what the plan mounts.
    func isInRoot(_ source: FilePath) -> Bool { source.lexicallyNormalized().starts(with: rootfs) }

    // MARK: cgroups

    /// v2: the one hierarchy. v1 and hybrid: a tmpfs with each hierarchy below. Without a cgroup namespace a v1
    /// hierarchy is bound from the container's own directory, so that it sees no other.
    private mutating func mountCgroups(_ options: MountOptions, _ target: String, _ field: String) throws {
        if facts.cgroups.layout == .unified {
            mountpoint(target, .directory)
            // Who is no root of the cgroup namespace may not mount it anew (runc's "cgroup2" mounts do the same).
            if namespaces.isNewOrJoined(.user), !namespaces.new.contains(.cgroup), !namespaces.isJoined(.cgroup) {
                return bindCgroup(
                    cgroup.cgroup.unifiedDirectory ?? facts.cgroups.hierarchies.first?.mountpoint ?? "/sys/fs/cgroup",
                    at: target, options)
            }
            steps.child(
                "mount cgroup2 at \(target)",
                .mount(
                    .with {
                        $0.type = "cgroup2"
                        $0.source = "cgroup"
                        $0.target = target
                        $0.flags = options.flags.rawValue
                    }))
            return
        }
        mountpoint(target, .directory)
        steps.child(
            "mount tmpfs at \(target)",
            .mount(
                .with {
                    $0.type = "tmpfs"
                    $0.source = "cgroup"
                    $0.target = target
                    $0.flags = options.flags.subtracting([.readOnly, .relativeAccessTime]).rawValue
                    $0.data = "mode=755"
                }))
        let ownNamespace = namespaces.new.contains(.cgroup)
        let shown =
            cgroup.cgroup.directories.map { ($0.hierarchy, $0.path) }
            + facts.foreignCgroups.map { ($0, $0.directory(of: $0.ownPath)) }
        for (hierarchy, directory) in shown {
            let name = hierarchy.mountpoint.lastComponent?.string ?? "unified"
            let place = "\(target)/\(name)"
            mountpoint(place, .directory)
            if ownNamespace {
                mountHierarchy(hierarchy, at: place, options)
            } else {
                bindCgroup(directory, at: place, options)
            }
            // cpu,cpuacct: each controller by its own name too.
            if !hierarchy.isUnified, hierarchy.controllers.count > 1 {
                for controller in hierarchy.controllers where controller != name {
                    steps.child(
                        "link \(target)/\(controller)",
                        .makeSymlink(
                            .with {
                                $0.target = name
                                $0.path = "\(target)/\(controller)"
                            }))
                }
            }
        }
        if options.flags.contains(.readOnly) {
            steps.child(
                "make \(target) read-only",
                .setMountAttributes(
                    .with {
                        $0.target = target
                        $0.setAttributes = MountAttributes.readOnly.rawValue
                    }))
        }
    }

    private mutating func bindCgroup(_ directory: FilePath, at place: String, _ options: MountOptions) {
        let inUserNamespace = namespaces.isNewOrJoined(.user)
        let attributes = options.attributes(inUserNamespace: inUserNamespace)
        steps.child(
            "bind \(directory) at \(place)",
            .bindMount(
                .with {
                    $0.source = directory.string
                    $0.target = place
                    $0.recursive = true
                    $0.setAttributes = attributes.set.rawValue
                    $0.clearAttributes_p = attributes.clear.rawValue
                    $0.lockedAttributes = attributes.locked.rawValue
                    $0.lockedAccessTime = inUserNamespace && options.setsAccessTime
                }))
    }

    private mutating func mountHierarchy(_ hierarchy: CgroupHierarchy, at place: String, _ options: MountOptions) {
        let named = hierarchy.controllers.filter { $0.hasPrefix("name=") }
        let plain = hierarchy.controllers.filter { !$0.hasPrefix("name=") }
        let data = (plain.isEmpty ? ["none"] : plain) + named
        steps.child(
            "mount \(hierarchy.isUnified ? "cgroup2" : "cgroup \(data.joined(separator: ","))") at \(place)",
            .mount(
                .with {
                    $0.type = hierarchy.isUnified ? "cgroup2" : "cgroup"
                    $0.source = "cgroup"
                    $0.target = place
                    $0.flags = options.flags.rawValue
                    $0.data = hierarchy.isUnified ? "" : data.joined(separator: ",")
                }))
    }
}
