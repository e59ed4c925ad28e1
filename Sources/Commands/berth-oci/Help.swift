internal import ArgumentParser

/// Help in the layout of runc's: the name and what it is for, then how it is used.
enum Help {
    static func text(_ type: any ParsableCommand.Type, _ verb: String?) -> String {
        let program = OwnUser.programName
        let name = verb.map { "\(program) \($0)" } ?? program
        let what =
            verb == nil
            ? "Open Container Initiative runtime. \(type.configuration.abstract)" : type.configuration.abstract
        return "NAME:\n   \(name) - \(what)\n\n" + (type as any ParsableArguments.Type).helpMessage() + "\n\n"
            + GlobalOptions.help + "\n"
    }

    static func show(_ type: any ParsableCommand.Type, _ verb: String?) -> Never {
        Output.text(text(type, verb))
        Output.end(0)
    }

    /// Tells what is wrong with a command line, and ends.
    static func exit(_ verb: String, _ type: any ParsableCommand.Type, _ error: any Error) -> Never {
        let code = type.exitCode(for: error)
        if code.isSuccess { show(type, verb) }
        Output.error(type.fullMessage(for: error))
        Output.end(verb == "exec" ? 255 : 1)
    }
}
