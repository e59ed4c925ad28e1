internal import CRIAPI
internal import Core
private import Terminal

/// The conditions of `images -f`.
enum ImageFilters {
    static func apply(_ filters: [String], to images: [Runtime_V1_Image]) throws -> [Runtime_V1_Image] {
        try filters.reduce(images) { images, filter in
            let parts = filter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else {
                throw BerthError.invalid(field: "--filter", value: filter, rule: "must be CONDITION=VALUE")
            }
            switch parts[0] {
            case "dangling":
                guard let wanted = Bool(parts[1]) else {
                    throw BerthError.invalid(field: "--filter dangling", value: parts[1], rule: "must be true or false")
                }
                return images.filter { $0.repoTags.isEmpty == wanted }
            case "reference":
                let matches = try ListFilters.pattern(parts[1], field: "--filter reference")
                return images.filter { image in
                    (image.repoTags + image.repoDigests).contains { $0 == parts[1] || matches($0) }
                }
            // The list is in order of names: what stands before an image in it, and after.
            case "since": return Array(images.prefix { !isImage($0, parts[1]) })
            case "before": return Array(images.reversed().prefix { !isImage($0, parts[1]) }.reversed())
            default:
                throw BerthError.invalid(
                    field: "--filter", value: filter, rule: "must begin with dangling=, reference=, before= or since=")
            }
        }
    }

    private static func isImage(_ image: Runtime_V1_Image, _ name: String) -> Bool {
        if image.repoTags.contains(name) || image.repoDigests.contains(name) { return true }
        let bare = image.id.hasPrefix("sha256:") ? String(image.id.dropFirst(7)) : image.id
        return !name.isEmpty && (image.id.hasPrefix(name) || bare.hasPrefix(name))
    }
}
