internal import Core
internal import LinuxKernel
internal import SystemPackage

/// AppArmor profiles of the node: which are loaded, and the default one of Berth's own.
struct AppArmorProfiles: Sendable {
    static let defaultName = "berth-default"

    let isEnabled: Bool
    /// One line for each loaded profile: `NAME (MODE)`.
    var listing: FilePath = "/sys/kernel/security/apparmor/profiles"
    /// Of Debian's package apparmor.
    var parser: FilePath = "/sbin/apparmor_parser"

    /// The profile of a container's process; `nil` for none.
    ///
    /// A container that names no profile has the default one where there is one: that is what Kubernetes says of nodes with
    /// AppArmor. A privileged one has none.
    ///
    /// - Throws: `BerthError` (`failedPrecondition`) where what is asked for is not to be had here.
    func profile(of security: ContainerSecurityContext) throws -> String? {
        guard !security.privileged else { return nil }
        switch security.apparmor {
        case .unconfined?: return nil
        case .localhost(let name)?:
            try requireKernel(for: "AppArmor profile \"\(name)\"")
            guard isLoaded(name) != false else {
                throw BerthError(
                    .failedPrecondition, "AppArmor profile \"\(name)\" is not loaded",
                    advice: "load it with apparmor_parser, or see the names in \(listing)")
            }
            return name
        case .runtimeDefault?:
            try requireKernel(for: "the default AppArmor profile")
            guard isLoaded(Self.defaultName) != false else {
                throw BerthError(
                    .failedPrecondition, "the default AppArmor profile \"\(Self.defaultName)\" is not loaded",
                    advice: "the daemon loads it when it starts and finds \(parser)")
            }
            return Self.defaultName
        case nil:
            return isEnabled && isLoaded(Self.defaultName) == true ? Self.defaultName : nil
        }
    }

    private func requireKernel(for what: String) throws {
        guard !isEnabled else { return }
        throw BerthError(.failedPrecondition, "\(what) is asked for, but this kernel has no AppArmor")
    }

    /// - Returns: `nil` where securityfs does not tell.
    func isLoaded(_ name: String) -> Bool? {
        guard let text = try? Files.readText(listing, limit: 16 << 20) else { return nil }
        return text.split(separator: "\n").contains { line in
            // A name may have spaces and parentheses itself; the mode is the last word.
            guard let end = line.lastIndex(of: "("), end > line.startIndex else { return false }
            return line[..<line.index(before: end)] == name
        }
    }

    /// Compiles the default profile and gives it to the kernel, in place of one that an earlier daemon has loaded.
    func loadDefault() async throws {
        guard Files.exists(parser) else {
            throw BerthError(.notFound, "\(parser) is not there", advice: "install the package apparmor")
        }
        try await parse(["--replace", "--skip-cache", "--quiet"])
    }

    /// - Parameter options: of apparmor_parser; the profile is its standard input.
    func parse(_ options: [String]) async throws {
        let (input, output) = (try Syscall.memfdCreate("berth-profile"), try Syscall.memfdCreate("berth-parser-output"))
        try Files.writeAll(input.fd, Array(Self.text.utf8))
        _ = try input.fd.seek(offset: 0, from: .start)
        let process = try Spawn.spawn(
            executable: parser, arguments: [parser.string] + options,
            environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [(input.fd, 0), (output.fd, 1), (output.fd, 2)])
        let status = try await process.wait()
        guard status.code == 0 else {
            _ = try output.fd.seek(offset: 0, from: .start)
            let words = String(decoding: (try? Files.read(output.fd, limit: 1 << 16)) ?? [], as: UTF8.self)
            throw BerthError(.failedPrecondition, "\(parser) refuses profile \(Self.defaultName): \(words)")
        }
    }

    /// What a container's root may not do to the host's kernel, whatever capabilities it was given. It adds to the masked and
    /// read-only paths, which a container with CAP_SYS_ADMIN could unmount.
    static let text = """
        profile \(defaultName) flags=(attach_disconnected, mediate_deleted) {
          network,
          capability,
          file,
          umount,
          deny mount,

          # From the runtime and the host's administrator, and among the pod's own processes.
          signal (receive) peer=unconfined,
          signal (send, receive) peer=\(defaultName),
          ptrace (trace, read, tracedby, readby) peer=\(defaultName),

          # Of /proc, what belongs to processes or to the container's own namespaces can be written.
          deny /proc/{[^0-9s]*,s[^ey]*} w,
          deny /proc/{acpi,asound,bus,driver,fs,irq,scsi,tty}/** w,
          deny /proc/sys/{abi,crypto,debug,dev,user,vm}/** w,
          deny /proc/sys/fs/{[^m]*,m[^q]*}{,/**} w,
          deny /proc/sys/kernel/{[^ms]*,m[^s]*,ms[^g]*,s[^he]*,se[^m]*,sh[^m]*}{,/**} w,
          deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,

          # Of /sys, nothing but the container's cgroups.
          deny /sys/[^f]*/** wklx,
          deny /sys/f[^s]*/** wklx,
          deny /sys/fs/[^c]*/** wklx,
          deny /sys/fs/c[^g]*/** wklx,
          deny /sys/firmware/** rwklx,
          deny /sys/kernel/security/** rwklx,
        }

        """
}
