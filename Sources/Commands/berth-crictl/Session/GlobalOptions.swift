internal import Core

/// The options before the verb. They are read on their own since verbs have options of the same letters (`ps -r`).
struct GlobalOptions: Equatable {
    var config: String?
    var runtimeEndpoint: String?
    var imageEndpoint: String?
    var timeout: String?
    var isDebug = false

    static let help = """
          -c, --config FILE            client configuration (/etc/crictl.yaml)
          -r, --runtime-endpoint URI   runtime (unix:///run/berth/berth.sock)
          -i, --image-endpoint URI     image service (the runtime's)
          -t, --timeout DURATION       for connecting and for questions (2s)
          -D, --debug                  print every call to standard error

        ENVIRONMENT: CRI_CONFIG_FILE, CONTAINER_RUNTIME_ENDPOINT,
        IMAGE_SERVICE_ENDPOINT
        """

    /// - Returns: the options, and the arguments from the verb (or `--help`, `--version`) on.
    static func split(_ arguments: [String]) throws -> (GlobalOptions, [String]) {
        var options = GlobalOptions()
        var rest = arguments[...]
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-", argument != "--" {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let target: WritableKeyPath<GlobalOptions, String?>
            switch String(parts[0]) {
            case "-c", "--config": target = \.config
            case "-r", "--runtime-endpoint": target = \.runtimeEndpoint
            case "-i", "--image-endpoint": target = \.imageEndpoint
            case "-t", "--timeout": target = \.timeout
            case "-D", "--debug":
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
