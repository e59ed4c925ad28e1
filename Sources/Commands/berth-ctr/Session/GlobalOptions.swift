internal import Core

/// The options before the command. They are read on their own since commands have options of the same letters.
struct GlobalOptions: Equatable {
    var address: String?
    var namespace: String?
    var timeout: String?
    var connectTimeout: String?
    var isDebug = false

    static let help = """
          -a, --address PATH     socket of the daemon (/run/berth/berth.sock)
          -n, --namespace NAME   of the objects (default); CRI's is k8s.io
          --timeout DURATION     for each call (none)
          --debug                print every call to standard error

        ENVIRONMENT: CONTAINERD_ADDRESS, CONTAINERD_NAMESPACE,
        CONTAINERD_SNAPSHOTTER
        """

    /// - Returns: the options, and the arguments from the command (or `--help`, `--version`) on.
    static func split(_ arguments: [String]) throws -> (GlobalOptions, [String]) {
        var options = GlobalOptions()
        var rest = arguments[...]
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-", argument != "--" {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let target: WritableKeyPath<GlobalOptions, String?>
            switch String(parts[0]) {
            case "-a", "--address": target = \.address
            case "-n", "--namespace": target = \.namespace
            case "--timeout": target = \.timeout
            case "--connect-timeout": target = \.connectTimeout
            case "--debug":
                options.isDebug = parts.count == 1 || parts[1] == "true"
                rest.removeFirst()
                continue
            case "-v": return (options, ["--version"])
            default: return (options, Array(rest))
            }
            rest.removeFirst()
            if parts.count == 2 {
                options[keyPath: target] = String(parts[1])
            } else if let value = rest.popFirst() {
                options[keyPath: target] = value
            } else {
                throw BerthError(.invalidArgument, "option \(argument) needs a value")
            }
        }
        return (options, Array(rest))
    }
}
