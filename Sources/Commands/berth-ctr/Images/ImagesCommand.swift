internal import ArgumentParser
internal import OCISpec

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
            ListImages.self, PullImage.self, ImportImages.self, ExportImages.self, BuildRootFS.self, CheckImages.self,
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
