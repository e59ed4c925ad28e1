internal import ArgumentParser
internal import Core
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

struct Run: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Makes and starts a container, waits for it, and deletes it.",
        discussion: "  berth-oci run --bundle /tmp/box mybox")

    @OptionGroup var bundle: BundleOptions

    @Flag(name: [.customShort("d"), .long], help: "Do not wait for the container's end.")
    var detach = false

    @Flag(help: "Do not delete the container after its end.")
    var keep = false

    @Flag(help: "Taken for compatibility: berth-oci needs no subreaper.")
    var noSubreaper = false

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        try Self.perform(id, bundle.request, detach: detach, keep: keep, globals)
    }

    static func perform(
        _ id: String, _ bundle: BundleRequest, detach: Bool, keep: Bool, _ globals: GlobalOptions
    ) throws {
        let runtime = globals.runtime
        let foreground = detach ? nil : try Foreground()
        let (container, process) = try runtime.create(
            id: id, bundle: bundle.path, waiting: false, options: bundle.options,
            check: { try bundle.checkConsole(terminal: $0.process?.terminal == true, detached: detach) })
        do {
            try runtime.runPoststartHooks(container)
        } catch {
            try? runtime.delete(container, force: true)
            throw error
        }
        guard let foreground else { return }
        let code = try TraceTimes.part("wait for the process") { try foreground.wait(for: process) }
        if !keep { try TraceTimes.part("delete") { try runtime.delete(container, force: true) } }
        Output.end(code)
    }
}
