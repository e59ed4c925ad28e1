#if DEBUG
private import Glibc
private import Synchronization
#endif

/// Named places at which a test makes the process die or an operation fail, to see what is left of it.
///
/// Only in debug builds; elsewhere `reach` is empty. The environment says which:
///
///     BERTH_FAILPOINTS=unpack.staged=kill          SIGKILL, so that nothing is tidied up
///     BERTH_FAILPOINTS=unpack.staged=kill@3        the third time it is reached
///     BERTH_FAILPOINTS=content.sync=fail,gc.rows=kill
///     BERTH_FAILPOINTS=list:/path                  appends each name that is reached to a file, once
///     BERTH_FAILPOINTS=file:/path                  SIGKILL at each name that is a line of the file at that moment
public enum Failpoint {
    #if DEBUG
    private enum Action: Sendable {
        case kill
        case fail
    }

    private struct Point: Sendable {
        var action: Action
        var countdown: Int
    }

    private struct Setting: Sendable {
        var points: [String: Point] = [:]
        var log: String?
        var file: String?
        var logged: Set<String> = []

        init(_ text: String?) {
            guard let text, !text.isEmpty else { return }
            if text.hasPrefix("list:") {
                log = String(text.dropFirst(5))
                return
            }
            if text.hasPrefix("file:") {
                file = String(text.dropFirst(5))
                return
            }
            for item in text.split(separator: ",") {
                let halves = item.split(separator: "=", maxSplits: 1)
                guard halves.count == 2 else { continue }
                let words = halves[1].split(separator: "@", maxSplits: 1)
                points[String(halves[0])] = Point(
                    action: words[0] == "fail" ? .fail : .kill,
                    countdown: words.count == 2 ? Int(words[1]) ?? 1 : 1)
            }
        }
    }

    private static let isArmed = getenv("BERTH_FAILPOINTS") != nil
    private static let setting = Mutex(Setting(getenv("BERTH_FAILPOINTS").map { String(cString: $0) }))
    #endif

    /// - Throws: `BerthError` (`internal`) where the environment wants a failure here.
    @inline(__always)
    public static func reach(_ name: StaticString) throws {
        #if DEBUG
        if isArmed { try strike("\(name)") }
        #endif
    }

    #if DEBUG
    private static func strike(_ name: String) throws {
        let action: Action? = setting.withLock { setting in
            if let log = setting.log, setting.logged.insert(name).inserted { append(name, to: log) }
            if let file = setting.file, lines(of: file).contains(name) { return .kill }
            guard var point = setting.points[name] else { return nil }
            point.countdown -= 1
            setting.points[name] = point
            return point.countdown == 0 ? point.action : nil
        }
        switch action {
        case nil: return
        case .kill:
            // A test that arms several learns which it was.
            let line = "killed at failpoint \(name)\n"
            _ = Glibc.write(2, line, line.utf8.count)
            _ = Glibc.kill(getpid(), SIGKILL)
            // The signal may reach another thread first.
            while true { pause() }
        case .fail: throw BerthError(.internal, "failpoint \(name)")
        }
    }

    private static func lines(of path: String) -> Set<String> {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var lines: Set<String> = []
        var buffer = [CChar](repeating: 0, count: 256)
        while fgets(&buffer, Int32(buffer.count), file) != nil {
            let line = buffer.prefix { $0 != 0 && $0 != 10 }
            lines.insert(String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return lines
    }

    private static func append(_ name: String, to path: String) {
        guard let file = fopen(path, "a") else { return }
        fputs(name + "\n", file)
        fclose(file)
    }
    #endif
}
