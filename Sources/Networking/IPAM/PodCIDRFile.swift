internal import Core
internal import LinuxKernel
internal import SystemPackage

/// What UpdateRuntimeConfig told, one line for each time that it changed: prefixes with spaces between them.
///
/// It is on the daemon's tmpfs: after a reboot the kubelet tells it again, and no pod has an address any more.
struct PodCIDRFile: Sendable {
    /// More changes than a node sees; the oldest go.
    static let limit = 64

    let path: FilePath

    /// A line that nobody can read was not written by this daemon, and no pod has an address of it.
    func read() -> [[IPAddressPrefix]] {
        let text = (try? Files.readText(path, limit: 1 << 16)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            try? line.split(separator: " ").map { try IPAddressPrefix(String($0)) }
        }
    }

    func write(_ all: [[IPAddressPrefix]]) throws {
        let lines = all.map { $0.map(\.description).joined(separator: " ") + "\n" }
        do throws(Errno) {
            try Files.makeDirectories(path.removingLastComponent(), mode: 0o700)
            try Files.writeAtomically(path, Array(lines.joined().utf8))
        } catch {
            throw BerthError(.internal, "write \(path)", cause: error)
        }
    }
}
