internal import ArgumentParser
internal import Core
internal import OCIRuntime

struct Restore: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Makes a container that goes on where a checkpoint left it.",
        discussion: "  berth-oci restore --image-path /tmp/images --bundle /tmp/box mybox")

    @OptionGroup var bundle: BundleOptions
    @OptionGroup var images: ImageOptions

    @Flag(name: [.customShort("d"), .long], help: "Do not wait for the container's end.")
    var detach = false

    @Flag(help: "Do not delete the container after its end.")
    var keep = false

    @Flag(help: "Taken for compatibility: berth-oci needs no subreaper.")
    var noSubreaper = false

    @Option(help: "LSM profile of the processes.")
    var lsmProfile: String?

    @Option(help: "LSM context of the mounts.")
    var lsmMountContext: String?

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        var options = try images.options(globals)
        options.lsmProfile = lsmProfile
        options.lsmMountContext = lsmMountContext
        let runtime = globals.runtime
        let request = bundle.request
        let foreground = detach ? nil : try Foreground()
        let (container, process) = try runtime.restore(
            id: id, bundle: request.path, options: request.options, checkpoint: options,
            check: { try request.checkConsole(terminal: $0.process?.terminal == true, detached: detach) })
        do {
            try runtime.runPoststartHooks(container)
        } catch {
            try? runtime.delete(container, force: true)
            throw error
        }
        guard let foreground else { return }
        let code = try foreground.wait(for: process)
        if !keep { try runtime.delete(container, force: true) }
        Output.end(code)
    }
}
