internal import Core
internal import LaunchAPI
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

extension ContainerCompilation {
    /// The devices that every container has (specification, "Default Devices").
    static let defaultDevices: [RuntimeSpec.Linux.Device] = [
        .init(path: "/dev/null", type: "c", major: 1, minor: 3),
        .init(path: "/dev/zero", type: "c", major: 1, minor: 5),
        .init(path: "/dev/full", type: "c", major: 1, minor: 7),
        .init(path: "/dev/random", type: "c", major: 1, minor: 8),
        .init(path: "/dev/urandom", type: "c", major: 1, minor: 9),
        .init(path: "/dev/tty", type: "c", major: 5, minor: 0),
    ]

    /// "Dev symbolic links" of the specification.
    private static let links = [
        ("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin"), ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"), ("pts/ptmx", "/dev/ptmx"),
    ]

    mutating func makeDevices() throws {
        let dev = (spec.mounts ?? []).last(where: Self.isDev)
        // The host's own /dev: it has them, and must not be changed.
        if let dev, MountOptions(dev).isBind { return }

        let own = linux.devices ?? []
        for device in Self.defaultDevices where !own.contains(where: { $0.path == device.path }) { make(device) }
        // The link to the container's own terminals is made below, whatever is asked for.
        for device in own where device.path != "/dev/ptmx" { make(device) }
        for (target, path) in Self.links {
            steps.child(
                "link \(path)",
                .makeSymlink(
                    .with {
                        $0.target = target
                        $0.path = path
                    }))
        }
    }

    /// A /dev that is to be read-only becomes so when its devices and the console are there.
    mutating func protectDevices() {
        guard let dev = (spec.mounts ?? []).last(where: Self.isDev) else { return }
        let options = MountOptions(dev)
        guard !options.isBind, options.flags.contains(.readOnly) else { return }
        steps.child(
            "make /dev read-only",
            .setMountAttributes(
                .with {
                    $0.target = "/dev"
                    $0.setAttributes = MountAttributes.readOnly.rawValue
                }))
    }

    private mutating func make(_ device: RuntimeSpec.Linux.Device) {
        let type: UInt32 =
            switch device.type {
            case "b": 0o060000
            case "p": 0o010000
            default: 0o020000
            }
        steps.child(
            "make the device \(device.path)",
            .makeNode(
                .with {
                    $0.path = device.path
                    $0.mode = type | (device.fileMode.map { $0 & 0o7777 } ?? 0o666)
                    $0.major = UInt32(truncatingIfNeeded: device.major ?? 0)
                    $0.minor = UInt32(truncatingIfNeeded: device.minor ?? 0)
                    $0.uid = device.uid ?? 0
                    $0.gid = device.gid ?? 0
                    // mknod(2) of a device is refused in a user namespace.
                    $0.bind = namespaces.isNewOrJoined(.user) && device.type != "p"
                }))
    }
}
