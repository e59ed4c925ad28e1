internal import ArgumentParser
internal import Core

struct Kill: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Sends a signal to the process of a container.",
        discussion: "  berth-oci kill mybox KILL")

    @Flag(name: [.customShort("a"), .long], help: "Send it to every process of the container.")
    var all = false

    @Argument(help: "ID of the container.")
    var id: String

    @Argument(help: "Name, with or without SIG, or number.")
    var signal = "SIGTERM"

    func perform(_ globals: GlobalOptions) throws {
        try Self.perform(id, signal, all: all, globals)
    }

    static func perform(_ id: String, _ signal: String, all: Bool, _ globals: GlobalOptions) throws {
        guard let number = SignalName.number(signal) else {
            throw BerthError(.invalidArgument, "unknown signal \"\(signal)\"")
        }
        let runtime = globals.runtime
        try runtime.kill(try runtime.container(id), signal: number, all: all)
    }
}

/// Signals by name (signal(7)).
enum SignalName {
    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ]
    private static let others = ["IOT": "ABRT", "CLD": "CHLD", "POLL": "IO", "UNUSED": "SYS"]

    static func number(_ text: String) -> Int32? {
        if let number = Int32(text) { return (0...64).contains(number) ? number : nil }
        let upper = text.uppercased()
        let bare = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let index = names.firstIndex(of: others[bare] ?? bare) { return Int32(index + 1) }
        // Of the real-time signals libc keeps the first two: 34 to 64.
        if bare == "RTMIN" { return 34 }
        if bare == "RTMAX" { return 64 }
        if bare.hasPrefix("RTMIN+"), let offset = Int32(bare.dropFirst(6)), (0...30).contains(offset) {
            return 34 + offset
        }
        if bare.hasPrefix("RTMAX-"), let offset = Int32(bare.dropFirst(6)), (0...30).contains(offset) {
            return 64 - offset
        }
        return nil
    }
}
