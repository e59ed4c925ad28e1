internal import Core
private import Glibc
internal import LinuxKernel
public import SystemPackage

extension OverlayMount {
    /// OVL_MAX_STACK of the kernel.
    public static let lowerLimit = 500

    /// Mounts the overlay at `target`, with as many layers as overlayfs takes: each by itself where the kernel knows
    /// `lowerdir+` (Linux 6.8), else in one string, by names relative to the directory that they are all in.
    ///
    /// The last changes the calling thread's working directory, which it should not share with others.
    public func mount(at target: FilePath) throws(Errno) {
        do throws(Errno) {
            try mountLayerByLayer(at: target)
        } catch {
            // EINVAL: an older kernel, to which the key is unknown.
            guard error == .invalidArgument else { throw error }
            try mountInOneString(at: target)
        }
    }

    /// The overlay's root, for reading, without mounting it anywhere.
    ///
    /// - Throws: `invalidArgument` for more than a few layers before Linux 6.8.
    func open() throws(Errno) -> OwnedDescriptor {
        let mount: OwnedDescriptor
        do throws(Errno) {
            mount = try prepare(layerByLayer: true)
        } catch {
            guard error == .invalidArgument else { throw error }
            mount = try prepare(layerByLayer: false)
        }
        defer { mount.close() }
        return OwnedDescriptor(try EntryCalls.open(mount.fd, [0x2e, 0], flags: O_RDONLY | O_DIRECTORY))
    }

    private func mountLayerByLayer(at target: FilePath) throws(Errno) {
        let mount = try prepare(layerByLayer: true)
        defer { mount.close() }
        try Syscall.moveMount(mount.fd, to: target)
    }

    private func prepare(layerByLayer: Bool) throws(Errno) -> OwnedDescriptor {
        let context = try Syscall.fsopen("overlay")
        defer { context.close() }
        if layerByLayer {
            for layer in lower { try Syscall.fsconfig(context.fd, .string("lowerdir+", layer)) }
        } else {
            let layers = lower.map { Self.escaped($0) }.joined(separator: ":")
            try Syscall.fsconfig(context.fd, .string("lowerdir", layers))
        }
        if let upper, let work {
            try Syscall.fsconfig(context.fd, .string("upperdir", upper))
            try Syscall.fsconfig(context.fd, .string("workdir", work))
        }
        for (option, value) in Self.settings { try Syscall.fsconfig(context.fd, .string(option, value)) }
        if let label = self.context { try Syscall.fsconfig(context.fd, .string("context", label)) }
        try Syscall.fsconfig(context.fd, .create)
        return try Syscall.fsmount(context.fd, attributes: upper == nil ? .readOnly : [])
    }

    /// Whatever the kernel's defaults: a layer is in several mounts at a time, may be moved, and is complete by itself.
    public static let settings = [("index", "off"), ("metacopy", "off")]

    private func mountInOneString(at target: FilePath) throws(Errno) {
        var data = options { $0 }
        if data.utf8.count >= Self.pageLimit {
            let base = lower.first.map { FilePath($0).removingLastComponent().removingLastComponent() } ?? "/"
            guard chdir(base.string) == 0 else { throw Errno(rawValue: errno) }
            data = options { Self.relative($0, to: base) }
        }
        try Syscall.mount(
            source: "overlay", target: target, type: "overlay", flags: upper == nil ? .readOnly : [], data: data)
    }

    /// mount(2) takes a page of options.
    private static let pageLimit = 4095

    private func options(_ name: (String) -> String) -> String {
        var options = ["lowerdir=" + lower.map { Self.escaped(name($0)) }.joined(separator: ":")]
        if let upper, let work {
            options += ["upperdir=" + Self.escaped(name(upper)), "workdir=" + Self.escaped(name(work))]
        }
        options += Self.settings.map { "\($0)=\($1)" }
        // It has commas.
        if let context { options.append("context=\"\(context)\"") }
        return options.joined(separator: ",")
    }

    private static func relative(_ path: String, to base: FilePath) -> String {
        var copy = FilePath(path)
        return copy.removePrefix(base) ? copy.string : path
    }

    /// overlayfs.rst: a colon or comma in a directory's name is written with a backslash.
    private static func escaped(_ path: String) -> String {
        var text = ""
        for character in path {
            if character == ":" || character == "," || character == "\\" { text.append("\\") }
            text.append(character)
        }
        return text
    }
}
