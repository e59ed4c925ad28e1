internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// The options of a mount, sorted by what becomes of them.
struct MountOptions {
    /// Set and cleared by name, for mount(2).
    var flags: MountFlags = []
    var cleared: MountFlags = []
    /// `rro`, `rnosuid` ...: for the mount and all below it.
    var recursiveSet: MountAttributes = []
    var recursiveClear: MountAttributes = []
    var propagation: [MountFlags] = []
    /// The filesystem's own options.
    var data: [String] = []
    var isBind = false
    var isRecursiveBind = false
    var copyUp = false
    /// `idmap` or `ridmap`.
    var idMap: IDMap?

    enum IDMap { case single, recursive }

    init(_ options: [String]) {
        for option in options { add(option) }
    }

    /// A bind mount may be told by its type alone.
    init(_ mount: RuntimeSpec.Mount) {
        self.init(mount.options ?? [])
        if mount.type == "bind" { isBind = true }
    }

    /// What mount_setattr(2) is to set and clear on a bind mount. As with a remount by mount(2), and so with runc: where
    /// any option is given, those that are not given are cleared, and access times change by being set alone.
    ///
    /// - Parameter inUserNamespace: what the source has is kept unless it is cleared by name, and may not be cleared.
    func attributes(
        inUserNamespace: Bool = false
    ) -> (set: MountAttributes, clear: MountAttributes, locked: MountAttributes) {
        var set: MountAttributes = []
        var clear: MountAttributes = []
        var locked: MountAttributes = []
        guard !flags.isEmpty || !cleared.isEmpty else { return (set, clear, locked) }
        for (flag, attribute) in Self.plainAttributes {
            if flags.contains(flag) {
                set.insert(attribute)
            } else if !inUserNamespace || cleared.contains(flag) || flag == .noSymlinkFollow {
                clear.insert(attribute)
                if inUserNamespace, flag != .noSymlinkFollow { locked.insert(attribute) }
            }
        }
        if setsAccessTime {
            clear.formUnion(.accessTimeField)
            if flags.contains(.noAccessTime) { set.insert(.noAccessTime) }
            if flags.contains(.strictAccessTime) { set.insert(.strictAccessTime) }
            if flags.contains(.noDirectoryAccessTime) {
                set.insert(.noDirectoryAccessTime)
            } else {
                clear.insert(.noDirectoryAccessTime)
            }
        }
        return (set, clear, locked)
    }

    /// Whether access times are asked for by an option that sets something.
    var setsAccessTime: Bool { !flags.isDisjoint(with: Self.accessTimeFlags.union(.noDirectoryAccessTime)) }

    private mutating func add(_ option: String) {
        if let (set, flag) = Self.flagOptions.value(option) {
            if set {
                flags.insert(flag)
                cleared.remove(flag)
            } else {
                flags.remove(flag)
                cleared.insert(flag)
            }
            // The three access time settings exclude each other; the last one holds.
            if set, Self.accessTimeFlags.contains(flag) { flags.subtract(Self.accessTimeFlags.subtracting(flag)) }
        } else if let (set, attribute) = Self.recursiveOptions.value(option) {
            addRecursive(set: set, attribute)
        } else if let flag = Self.propagationOptions.value(option) {
            propagation.append(flag)
        } else {
            switch option {
            case "bind": isBind = true
            case "rbind":
                isBind = true
                isRecursiveBind = true
            case "remount": flags.insert(.remount)
            case "tmpcopyup": copyUp = true
            case "idmap": idMap = .single
            case "ridmap": idMap = .recursive
            case "defaults", "": break
            default: data.append(option)
            }
        }
    }

    private mutating func addRecursive(set: Bool, _ attribute: MountAttributes) {
        if !attribute.isDisjoint(with: .accessTimeField) || attribute.isEmpty {
            recursiveSet.subtract(.accessTimeField)
            recursiveClear.formUnion(.accessTimeField)
            if set { recursiveSet.formUnion(attribute) }
        } else if set {
            recursiveSet.insert(attribute)
            recursiveClear.remove(attribute)
        } else {
            recursiveSet.remove(attribute)
            recursiveClear.insert(attribute)
        }
    }

    private static let accessTimeFlags: MountFlags = [.noAccessTime, .strictAccessTime, .relativeAccessTime]

    private static let plainAttributes: [(MountFlags, MountAttributes)] = [
        (.readOnly, .readOnly), (.noSUID, .noSUID), (.noDevices, .noDevices), (.noExec, .noExec),
        (.noSymlinkFollow, .noSymlinkFollow),
    ]

    // Pairs, not dictionaries: a start looks up a few names, and to fill a table for them costs more than it saves.

    static let flagOptions: KeyValuePairs<String, (set: Bool, flag: MountFlags)> = [
        "ro": (true, .readOnly), "rw": (false, .readOnly),
        "nosuid": (true, .noSUID), "suid": (false, .noSUID),
        "nodev": (true, .noDevices), "dev": (false, .noDevices),
        "noexec": (true, .noExec), "exec": (false, .noExec),
        "sync": (true, .synchronous), "async": (false, .synchronous),
        "dirsync": (true, .directorySync),
        "mand": (true, .mandatoryLocks), "nomand": (false, .mandatoryLocks),
        "noatime": (true, .noAccessTime), "atime": (false, .noAccessTime),
        "nodiratime": (true, .noDirectoryAccessTime), "diratime": (false, .noDirectoryAccessTime),
        "relatime": (true, .relativeAccessTime), "norelatime": (false, .relativeAccessTime),
        "strictatime": (true, .strictAccessTime), "nostrictatime": (false, .strictAccessTime),
        "nosymfollow": (true, .noSymlinkFollow), "symfollow": (false, .noSymlinkFollow),
        "silent": (true, .silent), "loud": (false, .silent),
        "acl": (true, .posixACL), "noacl": (false, .posixACL),
        "iversion": (true, .inodeVersion), "noiversion": (false, .inodeVersion),
        "lazytime": (true, .lazyTime), "nolazytime": (false, .lazyTime),
    ]

    static let recursiveOptions: KeyValuePairs<String, (set: Bool, attribute: MountAttributes)> = [
        "rro": (true, .readOnly), "rrw": (false, .readOnly),
        "rnosuid": (true, .noSUID), "rsuid": (false, .noSUID),
        "rnodev": (true, .noDevices), "rdev": (false, .noDevices),
        "rnoexec": (true, .noExec), "rexec": (false, .noExec),
        "rnodiratime": (true, .noDirectoryAccessTime), "rdiratime": (false, .noDirectoryAccessTime),
        "rnosymfollow": (true, .noSymlinkFollow), "rsymfollow": (false, .noSymlinkFollow),
        // MOUNT_ATTR_RELATIME is zero: the field is cleared.
        "rrelatime": (true, []), "rnorelatime": (false, []),
        "rnoatime": (true, .noAccessTime), "ratime": (false, .noAccessTime),
        "rstrictatime": (true, .strictAccessTime), "rnostrictatime": (false, .strictAccessTime),
    ]

    static let propagationOptions: KeyValuePairs<String, MountFlags> = [
        "private": .private, "rprivate": [.private, .recursive],
        "shared": .shared, "rshared": [.shared, .recursive],
        "slave": .slave, "rslave": [.slave, .recursive],
        "unbindable": .unbindable, "runbindable": [.unbindable, .recursive],
    ]

    /// Every option that is not a filesystem's own, for `features`.
    static let known: [String] = {
        let others = ["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap", "defaults"]
        return (flagOptions.map(\.key) + recursiveOptions.map(\.key) + propagationOptions.map(\.key) + others).sorted()
    }()
}

extension KeyValuePairs where Key == String {
    /// The value of the first pair with this key.
    func value(_ key: String) -> Value? { first { $0.key == key }?.value }
}

extension RuntimeSpec.Mount {
    /// What a bind mount takes; one that is not absolute is meant from the bundle.
    func sourcePath(in bundle: FilePath) -> FilePath { bundle.pushing(FilePath(source ?? "")) }
}
