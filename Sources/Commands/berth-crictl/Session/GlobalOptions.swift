internal import Core

/// The options before the verb. They are read on their own since verbs have options of the same letters (`ps -r`).
struct GlobalOptions: Equatable {
    var config: String?
    var runtimeEndpoint: String?
    var imageEndpoint: String?
    var timeout: String?
    var isDebug = false

    static let help = """
          -c, --config FILE              client configuration, or CRI_CONFIG_FILE (default: /etc/crictl.yaml)
          -r, --runtime-endpoint URI     socket of the runtime, or CONTAINER_RUNTIME_ENDPOINT (default: unix:///run/berth/berth.sock)
          -i, --image-endpoint URI       socket of the image service, or IMAGE_SERVICE_ENDPOINT (default: the runtime's)
          -t, --timeout DURATION         for connecting and for questions that answer at once (default: 2s)
          -D, --debug                    print every call to standard error
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
