internal import Core
internal import Glibc

/// Name and number rules of the Kubernetes API (RFC 1123 labels and subdomains, ports, addresses).
enum ValidationRules {
    static func isLabel(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63 else { return false }
        return isLowerAlphanumeric(first) && isLowerAlphanumeric(last)
            && bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    static func isSubdomain(_ text: String) -> Bool {
        text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isSubdomainPart(String($0)) }
    }

    private static func isSubdomainPart(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isLowerAlphanumeric(first) && isLowerAlphanumeric(last)
            && text.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    /// `[PREFIX/]NAME` of labels and annotations.
    static func isQualifiedName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let name = parts.last, parts.count <= 2 else { return false }
        if parts.count == 2, !isSubdomain(parts[0].lowercased()) { return false }
        return !name.isEmpty && isLabelText(String(name))
    }

    static func isLabelValue(_ text: String) -> Bool { text.isEmpty || isLabelText(text) }

    private static func isLabelText(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63 else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    /// Printable ASCII without `=`, as relaxed in Kubernetes 1.34.
    static func isEnvironmentName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "=") }
    }

    static func isSysctlName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253
            && text.utf8.allSatisfy { isAlphanumeric($0) || "-_./*".utf8.contains($0) }
            && text.split(whereSeparator: { $0 == "." || $0 == "/" }).allSatisfy { !$0.isEmpty }
    }

    static func isAddress(_ text: String) -> Bool {
        var storage = in6_addr()
        return inet_pton(AF_INET, text, &storage) == 1 || inet_pton(AF_INET6, text, &storage) == 1
    }

    static func hasParentReference(_ path: String) -> Bool { path.split(separator: "/").contains("..") }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}

/// Throws the one-line error for `field` unless `holds`.
func require(_ holds: Bool, _ field: String, _ value: some CustomStringConvertible, _ rule: String) throws {
    guard holds else { throw BerthError.invalid(field: field, value: value, rule: rule) }
}

func refuse(_ field: String, because reason: String) -> BerthError {
    BerthError(.unimplemented, "\(field) is not supported: \(reason)")
}
