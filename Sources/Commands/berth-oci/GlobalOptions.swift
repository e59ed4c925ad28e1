internal import Core
internal import OCIRuntime
internal import SystemPackage

/// runc's global options, which stand before the verb.
struct GlobalOptions: Sendable {
    var root: FilePath
    /// By --root, and not the default, which is made when it is needed.
    var hasRoot = false
    var logFile: FilePath?
    var logFormat = LogFormat.text
    var debug = false
    /// Prints the time of each part.
    var trace = false
    var systemdCgroup = false
    /// crun's --cgroup-manager=disabled, by which podman's `--cgroups disabled` comes.
    var cgroupsDisabled = false
    /// `nil`: found out.
    var rootless: Bool?
    /// A name or a path; `nil`: criu of the PATH.
    var criu: String?
    var showVersion = false

    enum LogFormat: String, Sendable { case text, json }

    /// The section of every verb's help, in the shape of the others.
    static let help = """
        GLOBAL OPTIONS (before the verb):
          --root <root>           Directory of the containers' state. (default:
                                  /run/berth-oci; of an ordinary user
                                  $XDG_RUNTIME_DIR/berth-oci)
          --log <log>             File for warnings and errors. (default: stderr)
          --log-format <log-format>
                                  text or json. (default: text)
          --debug                 Log each step, too.
          --systemd-cgroup        Let systemd make the cgroup, a transient scope;
                                  cgroupsPath is SLICE:PREFIX:NAME.
          --cgroup-manager <cgroup-manager>
                                  cgroupfs, systemd or disabled, as crun has it.
                                  (default: cgroupfs)
          --rootless <rootless>   auto, true or false: do without what only root
                                  may do to cgroups. (default: auto)
          --criu <criu>           Program that checkpoints and restores.
                                  (default: criu)
          --trace                 Print where the time goes, step by step.
          -v, --version           Show the version.
        """

    var runtime: ContainerRuntime {
        ContainerRuntime(
            root: root, usesSystemd: systemdCgroup, isRootless: rootless ?? !OwnUser.hasRootsRights,
            usesCgroups: !cgroupsDisabled)
    }

    private init() {
        let base = Environment.value("XDG_RUNTIME_DIR").flatMap { directory in
            directory.isEmpty || !OwnUser.keepsToRuntimeDirectory ? nil : directory
        }
        root = FilePath(base ?? "/run").appending("berth-oci")
    }

    /// - Returns: the options, and what follows them from the verb on.
    static func parse(_ arguments: [String]) throws -> (GlobalOptions, ArraySlice<String>) {
        var options = GlobalOptions()
        var rest = arguments[...]
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-", argument != "--" {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0].drop { $0 == "-" }
            func value() throws -> String {
                if parts.count == 2 { return String(parts[1]) }
                guard let next = rest.dropFirst().first else {
                    throw BerthError(.invalidArgument, "flag needs an argument: --\(name)")
                }
                rest = rest.dropFirst()
                return next
            }
            switch name {
            case "root":
                options.root = absolute(try value())
                options.hasRoot = true
            case "log": options.logFile = FilePath(try value())
            case "log-format":
                let text = try value()
                guard let format = LogFormat(rawValue: text) else {
                    throw BerthError.invalid(field: "--log-format", value: text, rule: "must be text or json")
                }
                options.logFormat = format
            case "debug": options.debug = parts.count == 1 || parts[1] == "true"
            case "trace": options.trace = parts.count == 1 || parts[1] == "true"
            case "systemd-cgroup": options.systemdCgroup = parts.count == 1 || parts[1] == "true"
            case "cgroup-manager":
                let text = try value()
                guard ["cgroupfs", "systemd", "disabled"].contains(text) else {
                    throw BerthError.invalid(
                        field: "--cgroup-manager", value: text, rule: "must be cgroupfs, systemd or disabled")
                }
                options.systemdCgroup = text == "systemd"
                options.cgroupsDisabled = text == "disabled"
            case "rootless":
                let text = try value()
                guard ["auto", "true", "false"].contains(text) else {
                    throw BerthError.invalid(field: "--rootless", value: text, rule: "must be auto, true or false")
                }
                options.rootless = text == "auto" ? nil : text == "true"
            case "criu": options.criu = try value()
            case "version", "v": options.showVersion = true
            default: return (options, rest)
            }
            rest = rest.dropFirst()
        }
        return (options, rest)
    }

    /// Relative paths are those of the working directory.
    static func absolute(_ path: String) -> FilePath {
        let path = FilePath(path)
        if path.isAbsolute { return path.lexicallyNormalized() }
        return OwnUser.workingDirectory.pushing(path).lexicallyNormalized()
    }
}
