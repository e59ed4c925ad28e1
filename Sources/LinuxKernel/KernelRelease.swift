/// The version of a kernel: for what it can do that cannot be found out by trying.
public struct KernelRelease: Comparable, Sendable {
    public let major: Int
    public let minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// - Parameter text: as in `/proc/sys/kernel/osrelease`; `nil` if it does not begin with two numbers.
    public init?(_ text: String) {
        let numbers = text.split(separator: ".", maxSplits: 2).prefix(2).map { Int($0.prefix { $0.isNumber }) }
        guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        self.init(major, minor)
    }

    /// `nil` where /proc does not tell.
    public static let running = (try? Files.readText("/proc/sys/kernel/osrelease")).flatMap { KernelRelease($0) }

    /// Whether the running kernel is this one or a newer one.
    public static func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        running.map { $0 >= KernelRelease(major, minor) } ?? false
    }

    public static func < (left: KernelRelease, right: KernelRelease) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}
