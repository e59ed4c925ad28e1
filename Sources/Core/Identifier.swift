/// Identifiers of pods, containers, snapshots and leases.
public enum Identifier {
    /// 64 lower-case hexadecimal digits from the system's random generator, as the field's clients expect.
    public static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in hex(generator.next() as UInt64) }.joined()
    }

    /// Checks an identifier that a client chose: 1 to 1024 of `[A-Za-z0-9_+.-]`, not `.` or `..`, as runc does.
    ///
    /// - Throws: `BerthError` (`invalidArgument`) that names the value and the rule.
    public static func validate(_ id: String, field: String = "container id") throws {
        let allowed = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"),
                UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard allowed, !id.isEmpty, id.utf8.count <= 1024, id != ".", id != ".." else {
            throw BerthError.invalid(
                field: field, value: id.prefix(128),
                rule: "must be 1 to 1024 characters of [A-Za-z0-9_+.-] and not . or ..")
        }
    }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
