internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

/// Errors and warnings as engines read them: lines of `--log` in the shape that runc writes, or on stderr.
struct Log: Sendable {
    private let file: FilePath?
    private let format: GlobalOptions.LogFormat

    init(_ globals: GlobalOptions) {
        file = globals.logFile
        format = globals.logFormat
    }

    /// An error that ends the program goes to the log, and to whoever reads stderr.
    func fail(_ message: String) {
        // Of a program that could not be run, people read it as a shell would say it.
        if file == nil, message.hasPrefix("exec ") { return Output.error(message) }
        write("error", message)
        if file != nil { Output.error(message) }
    }

    func write(_ level: String, _ message: String) {
        let line = line(level, message)
        guard let file,
            let descriptor = try? FileDescriptor.open(
                file, .writeOnly, options: [.append, .create, .closeOnExec], permissions: .ownerReadWrite)
        else {
            Output.error(line, newline: false)
            return
        }
        try? descriptor.closeAfter { _ = try descriptor.writeAll(line.utf8) }
    }

    private func line(_ level: String, _ message: String) -> String {
        let time = Timestamp.now()
        switch format {
        case .json:
            let bytes = (try? StrictJSON.encode(["level": level, "msg": message, "time": time])) ?? []
            return String(decoding: bytes, as: UTF8.self) + "\n"
        case .text:
            let quoted = (try? StrictJSON.encode(message)).map { String(decoding: $0, as: UTF8.self) } ?? message
            return "time=\"\(time)\" level=\(level) msg=\(quoted)\n"
        }
    }
}
