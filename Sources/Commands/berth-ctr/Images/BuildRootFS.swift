internal import ArgumentParser
private import Core
private import Foundation
private import Images
internal import OCISpec
private import Terminal

struct BuildRootFS: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build-rootfs", abstract: "Make a small image out of files, without a registry or a build tool",
        discussion: """
            The image has one layer: a statically linked busybox with a link for each of its commands, and files that
            --add names. The same files give the same image, byte by byte. No daemon is needed.

            EXAMPLES:
              berth-ctr image build-rootfs --busybox /bin/busybox \\
                  --tag docker.io/library/busybox:local --output busybox.tar
              berth-ctr image build-rootfs --busybox /bin/busybox --tag web:1 \\
                  --output layout/ --add ./index.html=/www/index.html \\
                  --cmd 'httpd -f -p 8080 -h /www' --env LANG=C
            """)

    @Option(help: "Statically linked busybox (Debian's package busybox-static)")
    var busybox: String?

    @Option(help: "Name of the image")
    var tag: String

    @Option(
        name: [.short, .long],
        help: "Archive (.tar), - for standard output, or a directory (with / at the end, or without .tar)")
    var output: String

    @Option(help: ArgumentHelp("File to put into the image", valueName: "file=/path"))
    var add: [String] = []

    @Option(help: ArgumentHelp("Symbolic link to put into the image", valueName: "/path=target"))
    var link: [String] = []

    @Option(help: "Command: words, or a JSON list")
    var cmd = "sh"

    @Option(help: "Entry point: words, or a JSON list")
    var entrypoint: String?

    @Option(help: ArgumentHelp("Environment", valueName: "name=value"))
    var env: [String] = []

    @Option(help: ArgumentHelp("Label of the image", valueName: "key=value"))
    var label: [String] = []

    @Option(help: "User that the command runs as")
    var user: String?

    @Option(help: "Directory that the command starts in")
    var workdir: String?

    @OptionGroup var platform: PlatformOptions

    func run() async throws {
        guard busybox != nil || !add.isEmpty else {
            throw BerthError(.invalidArgument, "the image would be empty", advice: "--busybox or --add fill it")
        }
        let reference = try ImageReference(tag).withDefaultTag
        var environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        for pair in env {
            guard let name = pair.split(separator: "=", omittingEmptySubsequences: false).first, !name.isEmpty,
                pair.contains("=")
            else { throw BerthError.invalid(field: "--env", value: pair, rule: "must be NAME=VALUE") }
            environment.removeAll { $0.hasPrefix("\(name)=") }
            environment.append(pair)
        }
        let labels = try ListFilters.labels(label)
        var builder = RootFSImageBuilder(
            platform: try platform.chosen(),
            execution: .init(
                user: user, env: environment, entrypoint: try entrypoint.map { try Self.words($0, "--entrypoint") },
                cmd: try Self.words(cmd, "--cmd"), workingDir: workdir, labels: labels.isEmpty ? nil : labels))
        if let busybox {
            let bytes = try Self.file(busybox).content
            try Executable.requireStatic(bytes, path: busybox)
            try builder.addBusybox(bytes, applets: try Executable.lines(of: busybox, ["--list-full"]))
        }
        for pair in add {
            let (source, target) = try Self.pair(pair, "--add", "FILE=/PATH")
            let (content, mode) = try Self.file(source)
            try builder.add(.file(content: content, mode: mode), at: target)
        }
        for pair in link {
            let (path, target) = try Self.pair(pair, "--link", "/PATH=TARGET")
            try builder.add(.symlink(target: target), at: path)
        }
        let output = output == "-" || output.hasSuffix(".tar") || output.hasSuffix("/") ? output : output + "/"
        let target = try await Staging.with { [builder] store in
            let target = try builder.build(into: store)
            try ArchiveOutput.write(
                [.init(name: "\(reference)", target: target)], from: store, platform: nil, to: output)
            return target
        }
        if output != "-" { Output.line("\(reference) \(target.digest)") }
    }

    private static func words(_ text: String, _ field: String) throws -> [String] {
        guard text.hasPrefix("[") else { return text.split(whereSeparator: \.isWhitespace).map(String.init) }
        guard case .array(let elements) = try Terminal.JSONValue(parsing: text) else { return [] }
        return try elements.map {
            guard let word = $0.string else {
                throw BerthError.invalid(field: field, value: text, rule: "must be a list of texts")
            }
            return word
        }
    }

    private static func pair(_ text: String, _ field: String, _ form: String) throws -> (String, String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw BerthError.invalid(field: field, value: text, rule: "must be \(form)")
        }
        return (parts[0], parts[1])
    }

    private static func file(_ path: String) throws -> (content: [UInt8], mode: UInt32) {
        do {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
            let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath()
            return (Array(try Data(contentsOf: resolved)), (mode?.uint32Value ?? 0o644) & 0o7777)
        } catch {
            throw BerthError(.notFound, "read \(path): \(error.localizedDescription)")
        }
    }
}
