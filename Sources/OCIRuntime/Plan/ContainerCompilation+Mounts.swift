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
        var options = MountOptions(mount.options ?? [])
        if mount.type == "bind" { options.isBind = true }
        let target = Self.destination(mount)
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
        steps.child(
            "mount \(type) at \(target)",
            .mount(
                .with {
                    $0.type = type
                    $0.source = mount.source ?? ""
                    $0.target = target
                    $0.flags = (late ? options.flags.subtracting(.readOnly) : options.flags).rawValue
                    $0.data = options.data.joined(separator: ",")
                    $0.copyUp = options.copyUp && type == "tmpfs"
                }))
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
        guard let given = mount.source, !given.isEmpty else {
            throw BerthError(.invalidArgument, "config.json: \(field).source: must not be empty for a bind mount")
        }
        let path = FilePath(given)
        let source = (path.isAbsolute ? path : self.options.bundle.pushing(path)).string
        if !options.data.isEmpty, options.data != ["private"] {
            throw BerthError.invalid(
                field: "config.json: \(field).options", value: options.data.joined(separator: ","),
                rule: "is no option of a bind mount")
        }
        var uids = mount.uidMappings ?? []
        var gids = mount.gidMappings ?? []
        if options.idMap != nil, uids.isEmpty {
            uids = linux.uidMappings ?? []
            gids = linux.gidMappings ?? []
            guard !uids.isEmpty else {
                throw BerthError(.invalidArgument, "config.json: \(field).options: idmap needs mappings of ids")
            }
        }
        mountpoint(target, .asSource, source: source)
        let attributes = options.attributes
        steps.child(
            "bind \(source) at \(target)",
            .bindMount(
                .with {
                    $0.source = source
                    $0.target = target
                    $0.recursive = options.isRecursiveBind
                    $0.setAttributes = attributes.set.rawValue
                    $0.clearAttributes_p = attributes.clear.rawValue
                    $0.uids = uids.map(\.message)
                    $0.gids = gids.map(\.message)
                }))
    }

    // MARK: cgroups

    /// v2: the one hierarchy. v1 and hybrid: a tmpfs with each hierarchy below. Without a cgroup namespace a v1
    /// hierarchy is bound from the container's own directory, so that it sees no other.
    private mutating func mountCgroups(_ options: MountOptions, _ target: String, _ field: String) throws {
        if facts.cgroups.layout == .unified {
            mountpoint(target, .directory)
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
        for directory in cgroup.cgroup.directories {
            let hierarchy = directory.hierarchy
            let name = hierarchy.mountpoint.lastComponent?.string ?? "unified"
            let place = "\(target)/\(name)"
            mountpoint(place, .directory)
            if ownNamespace {
                mountHierarchy(hierarchy, at: place, options)
            } else {
                let attributes = options.attributes
                steps.child(
                    "bind \(directory.path) at \(place)",
                    .bindMount(
                        .with {
                            $0.source = directory.path.string
                            $0.target = place
                            $0.recursive = true
                            $0.setAttributes = attributes.set.rawValue
                            $0.clearAttributes_p = attributes.clear.rawValue
                        }))
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
