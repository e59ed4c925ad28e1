internal import Core

/// A version of the CNI specification.
struct CNIVersion: Hashable, Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int
    let patch: Int

    init(_ text: String) throws {
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard numbers.count == 3, numbers.allSatisfy({ (0...999).contains($0) }) else {
            throw BerthError.invalid(field: "cniVersion", value: text.prefix(40), rule: "must be MAJOR.MINOR.PATCH")
        }
        (major, minor, patch) = (numbers[0], numbers[1], numbers[2])
    }

    private init(_ major: Int, _ minor: Int, _ patch: Int) {
        (self.major, self.minor, self.patch) = (major, minor, patch)
    }

    static let v0_1_0 = CNIVersion(0, 1, 0)
    static let v0_2_0 = CNIVersion(0, 2, 0)
    static let v0_3_0 = CNIVersion(0, 3, 0)
    /// Brought CHECK and `prevResult` at DEL.
    static let v0_4_0 = CNIVersion(0, 4, 0)
    static let v1_0_0 = CNIVersion(1, 0, 0)
    /// Brought STATUS and GC.
    static let v1_1_0 = CNIVersion(1, 1, 0)

    /// Those whose protocol is spoken here, oldest first.
    static let known = [v0_1_0, v0_2_0, v0_3_0, CNIVersion(0, 3, 1), v0_4_0, v1_0_0, v1_1_0]

    var description: String { "\(major).\(minor).\(patch)" }

    static func < (left: CNIVersion, right: CNIVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}
