private import Glibc

/// Standard output and error as the command lines write to them.
public enum TerminalOutput: Int32, Sendable {
    case standardOutput = 1
    case standardError = 2

    public var isTerminal: Bool { isatty(rawValue) == 1 }

    /// Whether colours and redrawing are wanted: a terminal that is not "dumb", and NO_COLOR is not set.
    public var isRich: Bool {
        guard isTerminal, getenv("NO_COLOR") == nil else { return false }
        return getenv("TERM").map { String(cString: $0) } != "dumb"
    }

    /// Characters in a line; 80 where it is not a terminal.
    public var width: Int {
        var size = winsize()
        guard ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes all of it, at once and unbuffered. A reader that is gone ends the program as SIGPIPE does.
    public func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(rawValue, $0.baseAddress, $0.count) }
            if count > 0 {
                rest.removeFirst(count)
            } else if errno == EAGAIN {
                var poll = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
                _ = Glibc.poll(&poll, 1, 1000)
            } else if errno != EINTR {
                exit(errno == EPIPE ? 141 : 1)
            }
        }
    }

    public func write(_ text: String) { write(Array(text.utf8)) }

    public func writeLine(_ text: String) { write(text + "\n") }

    public func color(_ color: TextColor, _ text: String) -> String {
        isRich ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }
}

public enum TextColor: Int, Sendable {
    case red = 31
    case yellow = 33
}
