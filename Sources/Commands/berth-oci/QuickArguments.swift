internal import OCIRuntime

/// The command lines that engines write, read without ArgumentParser: its look at the types of a command costs more than
/// all else that happens before a container is made. What is not plain goes to ArgumentParser, which is the one that
/// complains.
struct QuickArguments {
    /// A dictionary would cost more than all else here: it has the runtime look for `String`'s conformance to `Hashable`.
    private var values: [(name: String, value: String)] = []
    private(set) var flags: [String] = []
    private(set) var positional: [String] = []

    /// - Parameters:
    ///   - options: names with a value, long ones without dashes; a one-letter name stands before a colon: `b:bundle`.
    /// - Returns: `nil` for anything else than these.
    init?(_ arguments: ArraySlice<String>, options: [String] = [], flags known: [String] = []) {
        func find(_ argument: Substring, in names: [String]) -> String? {
            for name in names {
                let parts = name.split(separator: ":")
                if argument == "--\(parts[parts.count - 1])" || parts.count == 2 && argument == "-\(parts[0])" {
                    return String(parts[parts.count - 1])
                }
            }
            return nil
        }
        var rest = arguments
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-") else {
                positional.append(argument)
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 1, let name = find(parts[0], in: known) {
                flags.append(name)
            } else if let name = find(parts[0], in: options), value(name) == nil {
                guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst(), !value.hasPrefix("-") else {
                    return nil
                }
                values.append((name, value))
            } else {
                return nil
            }
        }
    }

    private func value(_ name: String) -> String? { values.first { $0.name == name }?.value }

    static let bundleOptions = ["b:bundle", "console-socket", "pid-file", "pidfd-socket", "preserve-fds"]
    static let bundleFlags = ["no-pivot", "no-new-keyring"]

    var bundle: BundleRequest? {
        var options = RunOptions()
        if let count = value("preserve-fds") {
            guard let count = Int(count), (0...1024).contains(count) else { return nil }
            options.preservedDescriptors = count
        }
        options.consoleSocket = value("console-socket").map { GlobalOptions.absolute($0) }
        options.pidFile = value("pid-file").map { GlobalOptions.absolute($0) }
        options.pidfdSocket = value("pidfd-socket").map { GlobalOptions.absolute($0) }
        options.noPivot = flags.contains("no-pivot")
        options.noNewKeyring = flags.contains("no-new-keyring")
        return BundleRequest(path: GlobalOptions.absolute(value("bundle") ?? "."), options: options)
    }

    /// The one argument, an ID.
    var id: String? { positional.count == 1 ? positional[0] : nil }

    /// What `verb` is to do; `nil` where ArgumentParser has to look.
    static func action(_ verb: String, _ arguments: ArraySlice<String>) -> ((GlobalOptions) throws -> Void)? {
        switch verb {
        case "create":
            guard let quick = QuickArguments(arguments, options: bundleOptions, flags: bundleFlags),
                let bundle = quick.bundle, let id = quick.id
            else { return nil }
            return { try Create.perform(id, bundle, $0) }
        case "run":
            let flags = bundleFlags + ["d:detach", "keep", "no-subreaper"]
            guard let quick = QuickArguments(arguments, options: bundleOptions, flags: flags),
                let bundle = quick.bundle, let id = quick.id
            else { return nil }
            let (detach, keep) = (quick.flags.contains("detach"), quick.flags.contains("keep"))
            return { try Run.perform(id, bundle, detach: detach, keep: keep, $0) }
        case "start":
            guard let id = QuickArguments(arguments)?.id else { return nil }
            return { try Start.perform(id, $0) }
        case "state":
            guard let id = QuickArguments(arguments)?.id else { return nil }
            return { try State.perform(id, $0) }
        case "delete":
            guard let quick = QuickArguments(arguments, flags: ["f:force"]), let id = quick.id else { return nil }
            return { try Delete.perform(id, force: quick.flags.contains("force"), $0) }
        case "kill":
            guard let quick = QuickArguments(arguments, flags: ["a:all"]), (1...2).contains(quick.positional.count)
            else { return nil }
            let signal = quick.positional.count == 2 ? quick.positional[1] : "SIGTERM"
            return { try Kill.perform(quick.positional[0], signal, all: quick.flags.contains("all"), $0) }
        default: return nil
        }
    }
}
