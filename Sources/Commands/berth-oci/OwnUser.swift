internal import Glibc
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

/// Who and where this process is.
enum OwnUser {
    static var isRoot: Bool { geteuid() == 0 }

    /// Root of a user namespace with other ids than the host's has not.
    static var hasRootsRights: Bool {
        guard isRoot else { return false }
        guard let map = try? Files.readText("/proc/self/uid_map") else { return true }
        return map.split(whereSeparator: \.isWhitespace).map { UInt32($0) } == [0, 0, UInt32.max]
    }

    /// An ordinary user's states are in $XDG_RUNTIME_DIR, also where an engine of his, as podman, has made him root of a user
    /// namespace. Root of a container within a container, who calls himself so, has /run.
    static var keepsToRuntimeDirectory: Bool {
        !isRoot || !hasRootsRights && Environment.value("USER") != "root"
    }

    /// As it was called: whoever puts it in the place of runc gets answers in that name.
    static var programName: String {
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "berth-oci"
    }

    static var workingDirectory: FilePath {
        guard let text = getcwd(nil, 0) else { return "/" }
        defer { free(text) }
        return FilePath(String(cString: text))
    }

    /// The name of `uid`, or its number in text where there is none.
    ///
    /// /etc/passwd is read as it is: a static program cannot load the modules of getpwuid(3).
    static func name(_ uid: UInt32) -> String {
        if uid == 0 { return "root" }
        guard let file = fopen("/etc/passwd", "re") else { return "#\(uid)" }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var size = 0
        defer { free(line) }
        while getline(&line, &size, file) > 0, let text = line.map({ String(cString: $0) }) {
            let fields = text.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, UInt32(fields[2]) == uid { return String(fields[0]) }
        }
        return "#\(uid)"
    }
}
