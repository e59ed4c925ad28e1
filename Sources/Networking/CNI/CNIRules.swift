internal import Core

/// What names may look like (CNI spec 1.1, "Network configuration format" and "Parameters").
enum CNIRules {
    /// A letter or digit, then also `_`, `.` and `-`.
    static func checkNetworkName(_ name: String) throws {
        guard isPlainName(name) else {
            throw BerthError.invalid(
                field: "network name", value: name.prefix(80), rule: "must be [A-Za-z0-9] and then [A-Za-z0-9_.-]")
        }
    }

    static func checkContainerID(_ id: String) throws {
        guard isPlainName(id) else {
            throw BerthError.invalid(
                field: "pod id", value: id.prefix(80), rule: "must be [A-Za-z0-9] and then [A-Za-z0-9_.-]")
        }
    }

    /// 1 to 15 bytes, no `/`, `:` or space, not `.` or `..` (the kernel's `dev_valid_name`).
    static func checkInterfaceName(_ name: String) throws {
        let plain = name.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "\"")
        }
        guard plain, (1...15).contains(name.utf8.count), name != ".", name != ".." else {
            throw BerthError.invalid(
                field: "interface name", value: name.prefix(80),
                rule: "must be 1 to 15 characters without / : and space")
        }
    }

    private static func isPlainName(_ name: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        }
        guard let first = name.utf8.first, isAlphanumeric(first), name.utf8.count <= 255 else { return false }
        return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x5f || $0 == 0x2e || $0 == 0x2d }
    }
}
