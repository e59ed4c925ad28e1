public import SystemPackage

/// A line of mountinfo (proc_pid_mountinfo(5)).
public struct MountEntry: Sendable, Hashable {
    public let id: Int
    public let parent: Int
    /// `MAJOR:MINOR`.
    public let device: String
    /// The directory of the filesystem that is the root of this mount.
    public let root: String
    public let target: String
    public let options: [String]
    /// `shared:N`, `master:N`, `propagate_from:N`, `unbindable`.
    public let propagation: [String]
    public let type: String
    public let source: String
    public let superOptions: [String]
}

public enum MountTable {
    public static func read(_ path: FilePath = "/proc/self/mountinfo") throws(Errno) -> [MountEntry] {
        parse(String(decoding: try Files.read(path, limit: 64 << 20), as: UTF8.self))
    }

    /// Lines that are not as proc(5) says are left out.
    public static func parse(_ text: String) -> [MountEntry] {
        // By bytes: berth-oci reads this at each start, and characters cost ten times as much.
        text.utf8.split(separator: UInt8(ascii: "\n")).compactMap(entry)
    }

    static func entry(_ line: Substring.UTF8View) -> MountEntry? {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard let dash = fields.firstIndex(where: { $0.count == 1 && $0.first == UInt8(ascii: "-") }), dash >= 6,
            fields.count >= dash + 4, let id = Int(Substring(fields[0])), let parent = Int(Substring(fields[1]))
        else { return nil }
        return MountEntry(
            id: id, parent: parent, device: String(Substring(fields[2])), root: unescape(fields[3]),
            target: unescape(fields[4]), options: words(fields[5]),
            propagation: fields[6..<dash].map { String(Substring($0)) }, type: String(Substring(fields[dash + 1])),
            source: unescape(fields[dash + 2]), superOptions: words(fields[dash + 3]))
    }

    private static func words(_ list: Substring.UTF8View) -> [String] {
        list.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
    }

    /// The mounts at and below `path`, deepest and newest first: the order in which they can be unmounted.
    public static func below(_ path: FilePath, in entries: [MountEntry]) -> [MountEntry] {
        entries.filter { FilePath($0.target).starts(with: path) }.reversed()
    }

    /// Space, tab, newline and backslash stand there as `\040` and so on.
    private static func unescape(_ field: Substring.UTF8View) -> String {
        guard field.contains(UInt8(ascii: "\\")) else { return String(Substring(field)) }
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3, let code = UInt8(Substring(rest.prefix(3)), radix: 8) {
                bytes.append(code)
                rest.removeFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
