internal import Foundation

/// What /proc and /sys tell of a daemon and its host, as numbers that must not grow.
enum ProcessFacts {
    /// Seconds of user and system time (proc_pid_stat(5), fields 14 and 15).
    static func processorTime(_ pid: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw Failure("/proc/\(pid)/stat is not as proc_pid_stat(5) says")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// - Parameters:
    ///   - folders: whose files count.
    ///   - bridge: only what is the daemon's counts, of links and processes, not all of its host.
    static func counts(daemon pid: Int32, folders: [String], cgroup: String, bridge: String?) -> [String: Int] {
        var counts: [String: Int] = [:]
        counts["descriptors"] = names("/proc/\(pid)/fd").count
        counts["threads"] = names("/proc/\(pid)/task").count
        counts["mounts"] = lines("/proc/\(pid)/mountinfo").count
        counts["resident KiB"] = field("VmRSS", of: pid)
        counts["anonymous KiB"] = field("RssAnon", of: pid)
        counts["files"] = folders.reduce(0) { $0 + files(below: $1) }
        counts["cgroups"] = names("/sys/fs/cgroup").reduce(0) {
            $0 + files(below: "/sys/fs/cgroup/\($1)\(cgroup)", directories: true)
        } + files(below: "/sys/fs/cgroup\(cgroup)", directories: true)
        // What the daemon's network namespace shows.
        counts["links"] = bridge.map { names("/sys/class/net/\($0)/brif").count } ?? lines("/proc/\(pid)/net/dev").count - 2
        if bridge == nil { counts["rules"] = rules(pid) }
        let processes = names("/proc").compactMap { Int32($0) }
        let own = mountNamespace(pid)
        var (launchers, members) = (0, 0)
        for process in processes {
            let words = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline"))) ?? Data()
            if words.starts(with: Data("berth-launch".utf8)), mountNamespace(process) == own { launchers += 1 }
            // Namespaces live by processes, mounts and descriptors: there are no others.
            if lines("/proc/\(process)/cgroup").contains(where: { $0.contains("\(cgroup)/") }) { members += 1 }
        }
        counts["launchers and monitors"] = launchers
        counts["processes in cgroups"] = members
        return counts
    }

    private static func mountNamespace(_ pid: Int32) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/mnt")
    }

    private static func names(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    /// To the end: a file of /proc has no size, and Foundation's own ways to read a whole file stop after the first read of one.
    private static func lines(_ path: String) -> [Substring] {
        guard let file = FileHandle(forReadingAtPath: path) else { return [] }
        defer { try? file.close() }
        var bytes = Data()
        while let piece = try? file.read(upToCount: 1 << 16), !piece.isEmpty { bytes += piece }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    private static func field(_ name: String, of pid: Int32) -> Int {
        let line = lines("/proc/\(pid)/status").first { $0.hasPrefix("\(name):") }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    }

    private static func files(below folder: String, directories: Bool = false) -> Int {
        guard let tree = FileManager.default.enumerator(atPath: folder) else { return 0 }
        var count = 0
        for _ in tree {
            // A v1 or v2 cgroup is a directory; its files are the kernel's.
            if !directories || tree.fileAttributes?[.type] as? FileAttributeType == .typeDirectory { count += 1 }
        }
        return count
    }

    private static func rules(_ pid: Int32) -> Int {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = ["--net=/proc/\(pid)/ns/net", "/usr/sbin/nft", "list", "ruleset"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return 0 }
        let text = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: text, as: UTF8.self).split(separator: "\n").count
    }
}
