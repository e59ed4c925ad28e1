internal import ArgumentParser
internal import CRIAPI
private import Core
private import Terminal

struct ListImages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "List images",
        discussion: """
            Filters of -f: dangling=true|false, reference=REGULAR-EXPRESSION, before=IMAGE, since=IMAGE, where IMAGE is
            NAME:TAG, NAME@DIGEST or an ID. Several are combined.

            EXAMPLES:
              berth-crictl images
              berth-crictl images --digests -f reference=busybox
              berth-crictl images -o json docker.io/library/busybox:local
            """, aliases: ["image", "img"])

    @Flag(name: [.short, .long], help: "Show verbose info for images")
    var verbose = false

    @Flag(name: [.short, .long], help: "Only show image IDs")
    var quiet = false

    @Option(name: [.short, .long], help: "Filter output based on provided conditions")
    var filter: [String] = []

    @Option(name: [.short, .long], help: "Output format, one of: json|yaml|table")
    var output = OutputFormat.table

    @Flag(help: "Show digests")
    var digests = false

    @Flag(help: "Show output without truncating the ID")
    var noTrunc = false

    @Flag(help: "Show whether the image is pinned or not")
    var pinned = false

    @Argument(help: ArgumentHelp("Only this image", valueName: "repository[:tag]"))
    var name: String?

    func run() async throws {
        let images = try await Connection.open { try await $0.listImages(name, filters: filter) }
        if output != .table {
            return try Output.message(Runtime_V1_ListImagesResponse.with { $0.images = images }, output)
        }
        if quiet { return images.forEach { Output.line($0.id) } }
        if verbose { return images.forEach(Self.describe) }
        let header: [String?] = [
            "IMAGE", "TAG", digests ? "DIGEST" : nil, "IMAGE ID", "SIZE", pinned ? "PINNED" : nil,
        ]
        var table = TextTable(.crictl, header: header.compactMap { $0 })
        for image in images {
            let (repository, digest) = RepositoryNames.digest(image.repoDigests)
            for name in RepositoryNames.tags(image.repoTags, repository: repository) {
                let row: [String?] = [
                    name.repository, name.tag,
                    digests ? (noTrunc ? digest : ListFilters.truncated(digest)) : nil,
                    noTrunc ? image.id : ListFilters.truncated(image.id),
                    HumanText.decimalSize(image.size, precision: 3), pinned ? "\(image.pinned)" : nil,
                ]
                table.add(row.compactMap { $0 })
            }
        }
        Output.table(table)
    }

    private static func describe(_ image: Runtime_V1_Image) {
        Output.line("ID: \(image.id)")
        image.repoTags.forEach { Output.line("RepoTags: \($0)") }
        image.repoDigests.forEach { Output.line("RepoDigests: \($0)") }
        if image.size != 0 { Output.line("Size: \(image.size)") }
        if image.hasUid { Output.line("Uid: \(image.uid.value)") }
        if !image.username.isEmpty { Output.line("Username: \(image.username)") }
        if image.pinned { Output.line("Pinned: true") }
        Output.line()
    }
}

extension Connection {
    /// Sorted by their first tag, digest or ID.
    func listImages(_ name: String?, filters: [String] = []) async throws -> [Runtime_V1_Image] {
        var images = try await doing("list images") {
            try await self.images.listImages(
                .with { if let name { $0.filter.image.image = name } }, options: Session.current.asking
            ).images
        }
        images.sort { $0.sortKey < $1.sortKey }
        return try ImageFilters.apply(filters, to: images)
    }
}

extension Runtime_V1_Image {
    fileprivate var sortKey: String { repoTags.first ?? repoDigests.first ?? id }
}
