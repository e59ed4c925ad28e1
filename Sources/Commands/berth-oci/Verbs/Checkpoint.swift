internal import ArgumentParser
internal import Core
internal import OCIRuntime
internal import SystemPackage

struct Checkpoint: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Writes the state of a container's processes to files, with CRIU.",
        discussion: "  berth-oci checkpoint --image-path /tmp/images mybox")

    @OptionGroup var images: ImageOptions

    @Option(help: "Images of an earlier --pre-dump, relative to --image-path.")
    var parentPath: String?

    @Flag(help: "Let the processes run on.")
    var leaveRunning = false

    @Flag(help: "Drop TCP connections that are being made.")
    var tcpSkipInFlight = false

    @Flag(help: "Link unlinked files that are open.")
    var linkRemap = false

    @Option(help: "Descriptor that CRIU writes a zero byte to when lazy pages are served.")
    var statusFd: Int32?

    @Option(help: "ADDRESS:PORT of the page server.")
    var pageServer: String?

    @Flag(help: "Write the memory alone, and let the processes run on.")
    var preDump = false

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        var options = try images.options(globals)
        options.parentPath = parentPath
        options.leaveRunning = leaveRunning
        options.tcpSkipInFlight = tcpSkipInFlight
        options.linkRemap = linkRemap
        options.statusDescriptor = statusFd
        options.pageServer = try pageServer.map { try Self.server($0) }
        options.preDump = preDump
        let runtime = globals.runtime
        try runtime.checkpoint(try runtime.container(id), options)
    }

    private static func server(_ text: String) throws -> (String, Int32) {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex,
            let port = Int32(text[text.index(after: colon)...]), (1...65535).contains(port)
        else {
            throw BerthError.invalid(field: "--page-server", value: text, rule: "must be ADDRESS:PORT")
        }
        return (String(text[..<colon]), port)
    }
}

/// Options of `checkpoint` and `restore`.
struct ImageOptions: ParsableArguments {
    @Option(help: "Directory of the images; ./checkpoint if it is not given.")
    var imagePath = ""

    @Option(help: "Directory of CRIU's log and work files.")
    var workPath: String?

    @Flag(help: "Allow open TCP connections.")
    var tcpEstablished = false

    @Flag(help: "Restore open TCP connections as closed ones.")
    var tcpClose = false

    @Flag(help: "Allow unix sockets whose other end is outside.")
    var extUnixSk = false

    @Flag(help: "Allow processes of a shell's session.")
    var shellJob = false

    @Flag(help: "Allow file locks.")
    var fileLocks = false

    @Option(help: "soft, full, strict or ignore.")
    var manageCgroupsMode = ""

    @Option(help: "Namespace that is made anew, without its properties: network.")
    var emptyNs: [String] = []

    @Flag(help: "Remove from parent images what is in new ones.")
    var autoDedup = false

    @Flag(help: "Serve memory pages when they are touched.")
    var lazyPages = false

    func options(_ globals: GlobalOptions) throws -> CheckpointOptions {
        var options = CheckpointOptions(imagePath: GlobalOptions.absolute(imagePath.isEmpty ? "checkpoint" : imagePath))
        options.workPath = workPath.flatMap { $0.isEmpty ? nil : GlobalOptions.absolute($0) }
        options.tcpEstablished = tcpEstablished
        options.tcpClose = tcpClose
        options.externalUnixSockets = extUnixSk
        options.shellJob = shellJob
        options.fileLocks = fileLocks
        options.cgroupMode = try CheckpointOptions.cgroupMode(manageCgroupsMode)
        options.emptyNamespaces = try CheckpointOptions.emptyNamespaces(emptyNs)
        options.autoDedup = autoDedup
        options.lazyPages = lazyPages
        options.program = globals.criu
        return options
    }
}
