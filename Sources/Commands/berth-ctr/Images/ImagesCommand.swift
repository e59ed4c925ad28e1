internal import ArgumentParser
internal import OCISpec
internal import Terminal

struct ImagesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "Manage images",
        discussion: """
            EXAMPLES:
              berth-ctr -n k8s.io images pull docker.io/library/nginx:1
              berth-ctr -n k8s.io images import busybox.tar
              berth-ctr -n k8s.io images ls
            """,
        subcommands: [
            ListImages.self, PullImage.self, PushImage.self, ImportImages.self, ExportImages.self, BuildRootFS.self,
            CheckImages.self,
            TagImage.self, LabelImage.self, RemoveImages.self,
        ], aliases: ["image", "i"])
}

struct PlatformOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Platform, such as linux/arm64 (default: this machine's)", valueName: "os/arch[/variant]"))
    var platform: String?

    func validate() throws { _ = try chosen() }

    func chosen() throws -> Platform {
        guard let platform else { return .host }
        guard let known = Platform(platform) else {
            throw ValidationError("--platform: \"\(platform)\" must be OS/ARCHITECTURE[/VARIANT]")
        }
        return known
    }
}

/// How progress is shown.
struct ProgressOptions: ParsableArguments {
    enum Style: String, ExpressibleByArgument, CaseIterable {
        case auto, plain, json, none
    }

    @Option(help: "Progress: auto (bars on a terminal), plain, json (a line for each change) or none")
    var progress = Style.auto

    @Flag(name: [.short, .long], help: "Print only the image's name")
    var quiet = false

    var isQuiet: Bool { quiet || progress == .none || progress == .json }

    func board() -> ProgressBoard {
        if quiet { return ProgressBoard(quiet: true) }
        switch progress {
        case .auto: return ProgressBoard()
        case .plain: return ProgressBoard(style: .lines)
        case .json: return ProgressBoard(style: .json)
        case .none: return ProgressBoard(quiet: true)
        }
    }
}
