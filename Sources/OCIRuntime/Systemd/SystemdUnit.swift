internal import Core

/// The unit of a container's cgroup, as `linux.cgroupsPath` names it for the systemd driver: `slice:prefix:name`.
public struct SystemdUnit: Sendable, Hashable {
    /// `kubepods-besteffort.slice`; `-.slice` is the root.
    public let slice: String
    /// `prefix-name.scope`, or the name itself where that is a slice.
    public let name: String

    public init(slice: String, name: String) {
        self.slice = slice
        self.name = name
    }

    /// - Parameters:
    ///   - path: empty or `nil`: `berth-oci-ID.scope` in the default slice.
    ///   - isUser: the default slice of a user's own manager is user.slice.
    /// - Throws: `BerthError` (`invalidArgument`) that names the field.
    public init(cgroupsPath path: String?, id: String, isUser: Bool = false) throws {
        let defaultSlice = isUser ? "user.slice" : "system.slice"
        guard let path, !path.isEmpty else {
            self.init(slice: defaultSlice, name: "berth-oci-\(id).scope")
            return
        }
        let parts = path.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, !parts[2].isEmpty else {
            throw BerthError.invalid(
                field: "config.json: linux.cgroupsPath", value: path.prefix(128),
                rule: "must be slice:prefix:name for the systemd cgroup driver")
        }
        let slice = parts[0].isEmpty ? defaultSlice : parts[0]
        _ = try Self.path(ofSlice: slice)
        if parts[2].hasSuffix(".slice") {
            _ = try Self.path(ofSlice: parts[2])
            self.init(slice: slice, name: parts[2])
        } else {
            let name = parts[1].isEmpty ? parts[2] : "\(parts[1])-\(parts[2])"
            self.init(slice: slice, name: "\(name).scope")
        }
        guard name.utf8.count <= 255, name.utf8.allSatisfy(Self.isNameByte) else {
            throw BerthError.invalid(
                field: "config.json: linux.cgroupsPath", value: path.prefix(128), rule: "makes no valid unit name")
        }
    }

    public var isSlice: Bool { name.hasSuffix(".slice") }

    /// Its cgroup below the manager's own (`/` for the system's): `/a.slice/a-b.slice/box-1.scope`.
    public func cgroup(below root: String = "") throws -> String {
        let parent = root == "/" ? "" : root
        if isSlice { return parent + (try Self.path(ofSlice: name)) }
        let slice = try Self.path(ofSlice: slice)
        return "\(parent)\(slice == "/" ? "" : slice)/\(name)"
    }

    /// Where a slice lies: each dash is a level (systemd.slice(5)). `a-b.slice` is `/a.slice/a-b.slice`.
    public static func path(ofSlice slice: String) throws -> String {
        func refusal(_ rule: String) -> BerthError {
            BerthError.invalid(field: "config.json: linux.cgroupsPath: slice", value: slice.prefix(128), rule: rule)
        }
        guard slice.hasSuffix(".slice"), slice.utf8.count <= 255, slice.utf8.allSatisfy(isNameByte) else {
            throw refusal("is no name of a slice")
        }
        let name = slice.dropLast(6)
        if name == "-" { return "/" }
        let levels = name.split(separator: "-", omittingEmptySubsequences: false)
        guard levels.allSatisfy({ !$0.isEmpty }) else { throw refusal("has an empty level between its dashes") }
        return levels.indices.map { "/" + levels[...$0].joined(separator: "-") + ".slice" }.joined()
    }

    /// What systemd.unit(5) allows in the name of a unit.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: ":-_.\\@".utf8.contains(byte)
        }
    }
}
