internal import CRIAPI
internal import Core

/// CRI's `Signal` enumeration, which lists names in alphabetical order, and the kernel's numbers.
enum StopSignal {
    private static let numbers: [Runtime_V1_Signal: Int32] = {
        var numbers: [Runtime_V1_Signal: Int32] = [
            .sigabrt: 6, .sigalrm: 14, .sigbus: 7, .sigchld: 17, .sigcld: 17, .sigcont: 18, .sigfpe: 8, .sighup: 1,
            .sigill: 4, .sigint: 2, .sigio: 29, .sigiot: 6, .sigkill: 9, .sigpipe: 13, .sigpoll: 29, .sigprof: 27,
            .sigpwr: 30, .sigquit: 3, .sigsegv: 11, .sigstkflt: 16, .sigstop: 19, .sigsys: 31, .sigterm: 15,
            .sigtrap: 5, .sigtstp: 20, .sigttin: 21, .sigttou: 22, .sigurg: 23, .sigusr1: 10, .sigusr2: 12,
            .sigvtalrm: 26, .sigwinch: 28, .sigxcpu: 24, .sigxfsz: 25,
        ]
        // SIGRTMIN (34 to glibc and musl) is 35 on the wire, and the rest follows in order to SIGRTMAX (64).
        for wire in Runtime_V1_Signal.sigrtmin.rawValue...Runtime_V1_Signal.sigrtmax.rawValue {
            if let signal = Runtime_V1_Signal(rawValue: wire) { numbers[signal] = Int32(wire - 1) }
        }
        return numbers
    }()

    private static let signals: [Int32: Runtime_V1_Signal] = {
        var signals = Dictionary(numbers.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        signals[6] = .sigabrt
        signals[17] = .sigchld
        signals[29] = .sigio
        return signals
    }()

    static func number(of signal: Runtime_V1_Signal) throws -> Int32? {
        guard signal != .runtimeDefault else { return nil }
        guard let number = numbers[signal] else {
            throw BerthError.invalid(field: "config.stop_signal", value: signal.rawValue, rule: "is not a known signal")
        }
        return number
    }

    static func signal(of number: Int32) -> Runtime_V1_Signal {
        signals[number] ?? .runtimeDefault
    }
}
