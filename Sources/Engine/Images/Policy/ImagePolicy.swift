internal import Core
internal import OCISpec

/// What the administrator wants of images, beside where they come from.
public struct ImagePolicy: Sendable {
    /// Programs that every pulled image has to pass.
    public var verification: ImageVerification?
    /// Names of images that a kubelet must not collect; a `*` at the end, or at both ends, stands for anything.
    public var pinned: [String] = []
    /// The registry of names without one; `nil` refuses such names.
    public var shortNameRegistry: String? = "docker.io"

    public init() {}

    /// - Throws: `BerthError` (`invalidArgument`) that names the key.
    public func validate() throws {
        for pattern in pinned {
            let name = pattern.hasSuffix("*") ? pattern.dropLast() : pattern[...]
            let rest = name.count < pattern.count && name.hasPrefix("*") ? name.dropFirst() : name
            guard !rest.isEmpty, !rest.contains("*") else {
                throw BerthError.invalid(
                    field: "pinned", value: pattern, rule: "must be a name, with * at its end or at both ends at most")
            }
        }
        if let registry = shortNameRegistry {
            guard let reference = try? ImageReference("\(registry)/x"), reference.domain == registry else {
                throw BerthError.invalid(
                    field: "short_names", value: registry, rule: "must be HOST[:PORT], or empty to refuse short names")
            }
        }
        try verification?.validate()
    }

    func isPinned(_ name: String) -> Bool {
        pinned.contains { pattern in
            guard pattern.hasSuffix("*") else { return pattern == name }
            let part = pattern.dropLast()
            return part.hasPrefix("*") ? name.contains(part.dropFirst()) : name.hasPrefix(part)
        }
    }

    /// Of a reference that a client gave.
    ///
    /// - Throws: `BerthError` (`invalidArgument`): malformed, or without a registry where that is refused.
    func reference(_ text: String) throws -> ImageReference {
        let parsed = try ImageReference(text)
        let namesRegistry =
            parsed.domain != "docker.io" || text.hasPrefix("docker.io/") || text.hasPrefix("index.docker.io/")
        if namesRegistry { return parsed }
        switch shortNameRegistry {
        case "docker.io"?: return parsed
        case let registry?: return try ImageReference("\(registry)/\(text)")
        case nil:
            throw BerthError(
                .invalidArgument, "image \"\(text)\" names no registry, and short names are refused",
                advice: "write HOST/\(text), or set images.short_names")
        }
    }
}

/// What CRI's clients and containerd's know a pinned image by.
enum PinnedLabel {
    static let name = "io.cri-containerd.pinned"
    static let value = "pinned"
}
