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
    /// `nil`: found out.
    var rootless: Bool?
    /// A name or a path; `nil`: criu of the PATH.
    var criu: String?
    var showVersion = false

    enum LogFormat: String, Sendable { case text, json }

    var runtime: ContainerRuntime {
        ContainerRuntime(
            root: root, usesSystemd: systemdCgroup, isRootless: rootless ?? !OwnUser.hasRootsRights)
    }

    private init() {
        let base = Environment.value("XDG_RUNTIME_DIR").flatMap { directory in
            OwnUser.isRoot || directory.isEmpty ? nil : directory
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
