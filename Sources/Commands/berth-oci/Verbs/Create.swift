internal import ArgumentParser
internal import OCIRuntime
internal import SystemPackage

struct Create: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Makes a container that waits for start.",
        discussion: "  berth-oci create --bundle /tmp/box mybox && berth-oci start mybox")

    @OptionGroup var bundle: BundleOptions

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        try Self.perform(id, bundle.request, globals)
    }

    static func perform(_ id: String, _ bundle: BundleRequest, _ globals: GlobalOptions) throws {
        _ = try globals.runtime.create(
            id: id, bundle: bundle.path, waiting: true, options: bundle.options,
            check: { try bundle.checkConsole(terminal: $0.process?.terminal == true, detached: true) })
    }
}
