internal import ArgumentParser
internal import Core
internal import OCIRuntime
internal import OCISpec

/// The command line, for help and for what names no verb. A verb that is named is parsed by itself: only its own
/// options are looked at, which is what keeps start-up short.
struct RootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "berth-oci",
        abstract: "Runs containers out of OCI bundles, with runc's command line.",
        discussion: """
              berth-oci spec --bundle /tmp/box       # writes a config.json to start from
              berth-oci run --bundle /tmp/box mybox  # creates, starts, waits and deletes
              berth-oci plan --bundle /tmp/box       # shows what would happen, step by step
            """,
        version: Version.text, subcommands: Verbs.all.map(\.1))
}

enum Version {
    static let number = "0.1.0"
    /// The lines that engines look for in runc's.
    static var text: String {
        "\(OwnUser.programName) version \(number)\ncommit: v\(number)\nspec: \(RuntimeSpec.version)\nlibseccomp: \(SeccompProfile.libraryVersion)"
    }
}

/// A verb of the command line, in a file of its own.
protocol Verb: ParsableCommand {
    func perform(_ globals: GlobalOptions) throws
}

enum Verbs {
    static let all: [(String, any Verb.Type)] = [
        ("checkpoint", Checkpoint.self), ("create", Create.self), ("delete", Delete.self), ("events", Events.self),
        ("exec", Exec.self),
        ("features", Features.self), ("kill", Kill.self), ("list", List.self), ("pause", Pause.self),
        ("plan", ShowPlan.self), ("ps", Processes.self), ("restore", Restore.self), ("resume", Resume.self),
        ("run", Run.self),
        ("spec", Specification.self), ("start", Start.self), ("state", State.self), ("update", Update.self),
    ]

    static func find(_ name: String) -> (any Verb.Type)? {
        all.first { $0.0 == name }?.1
    }
}

@main
enum BerthOCI {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let globals: GlobalOptions
        let rest: ArraySlice<String>
        do {
            (globals, rest) = try GlobalOptions.parse(arguments)
        } catch {
            complain("\(error)")
            Output.end(1)
        }
        if !globals.showVersion, let name = rest.first, let action = QuickArguments.action(name, rest.dropFirst()) {
            return carryOut(globals, name, action)
        }
        if !globals.showVersion, rest.first == "help", rest.count == 2, let name = rest.last,
            let type = Verbs.find(name)
        {
            Help.show(type, name)
        }
        guard !globals.showVersion, let name = rest.first, let type = Verbs.find(name) else {
            if !globals.showVersion, let name = rest.first, !name.hasPrefix("-"), name != "help" {
                complain(UnknownVerb.text(name))
                Output.end(1)
            }
            if globals.showVersion || !rest.allSatisfy({ ["-h", "--help"].contains($0) }) {
                RootCommand.main(globals.showVersion ? ["--version"] : Array(rest))
                return
            }
            Output.text(Help.text(RootCommand.self, nil))
            return
        }
        let verb: any Verb
        do {
            verb = try parse(name, type, SingleDashes.doubled(Array(rest.dropFirst()), of: name))
        } catch {
            if globals.logFile != nil { Log(globals).write("error", type.message(for: error)) }
            Help.exit(name, type, error)
        }
        carryOut(globals, name, verb.perform)
    }

    private static func carryOut(
        _ globals: GlobalOptions, _ verb: String, _ action: (GlobalOptions) throws -> Void
    ) {
        let log = Log(globals)
        ContainerRuntime.warn = { log.write("warning", $0) }
        if globals.debug { ContainerRuntime.trace = { log.write("debug", $0) } }
        if globals.trace { TraceTimes.tell = { Output.error(TraceLine.text($0, nanoseconds: $1)) } }
        do {
            try action(globals)
        } catch {
            log.fail(FailureText.text(error, verb: verb))
            // 1 to 254 are the process's own; an exec that came to none says so.
            Output.end(verb == "exec" ? 255 : 1)
        }
    }

    private static func parse<Command: Verb>(
        _ name: String, _ type: Command.Type, _ arguments: [String]
    ) throws -> any Verb {
        if let flag = arguments.first, ["-h", "--help"].contains(flag) {
            Help.show(type, name)
        }
        // --help parses as the built-in help command.
        guard let verb = try type.parseAsRoot(arguments) as? any Verb else { Help.show(type, name) }
        return verb
    }

    static func complain(_ text: String) {
        Output.error(text)
    }
}
