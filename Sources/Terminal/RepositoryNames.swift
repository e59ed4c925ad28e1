/// How crictl's image list splits references into its columns.
public enum RepositoryNames {
    private static let none = "<none>"

    /// Repository and digest of the first of an image's repository digests.
    public static func digest(_ repoDigests: [String]) -> (repository: String, digest: String) {
        guard let first = repoDigests.first else { return (none, none) }
        let parts = first.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return ("errorName", "errorRepoDigest") }
        return (String(parts[0]), String(parts[1]))
    }

    /// Repository and tag of each of an image's tags; `repository` with no tag where it has none.
    public static func tags(_ repoTags: [String], repository: String) -> [(repository: String, tag: String)] {
        guard !repoTags.isEmpty else { return [(repository, none)] }
        return repoTags.map { tag in
            guard let colon = tag.lastIndex(of: ":") else { return ("errorRepoTag", "errorRepoTag") }
            let name = String(tag[..<colon])
            return (name == none ? repository : name, String(tag[tag.index(after: colon)...]))
        }
    }
}
