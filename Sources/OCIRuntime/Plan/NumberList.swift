internal import Core

/// Lists of CPUs and memory nodes as the kernel's files have them: `0-3,5`.
enum NumberList {
    /// The most that a kernel is built for.
    static let limit = 8192

    /// - Returns: bit N of byte N/8 for each number N of `text`; `nil` where it is no such list, or is too long.
    static func mask(_ text: String, limit: Int = Self.limit) -> [UInt8]? {
        var bytes: [UInt8] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { number($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
                first <= last, last < limit
            else { return nil }
            while bytes.count <= last / 8 { bytes.append(0) }
            for number in first...last { bytes[number / 8] |= 1 << UInt8(number % 8) }
        }
        return bytes
    }

    private static func number(_ text: Substring) -> Int? {
        let digits = text.drop { $0 == " " }
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return Int(digits)
    }
}
