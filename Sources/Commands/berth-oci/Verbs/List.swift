internal import ArgumentParser
internal import Core
internal import LinuxKernel

struct List: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Lists the containers of --root.")

    @Option(name: [.customShort("f"), .long], help: "table or json.")
    var format = "table"

    @Flag(name: [.customShort("q"), .long], help: "Only the IDs.")
    var quiet = false

    func perform(_ globals: GlobalOptions) throws {
        if globals.hasRoot, !Files.exists(globals.root) {
            throw BerthError(.notFound, "--root: \(globals.root): no such file or directory")
        }
        let containers = try globals.runtime.containers().map { ContainerListing($0) }
        if quiet {
            for container in containers { Output.line(container.id) }
            return
        }
        switch format {
        case "table":
            let rows = containers.map {
                [$0.id, "\($0.pid)", $0.status.rawValue, $0.bundle, $0.created, $0.owner]
            }
            Output.table([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]] + rows)
        case "json":
            if containers.isEmpty { Output.line("null") } else { try Output.json(containers, pretty: false) }
        default: throw BerthError(.invalidArgument, "invalid format option")
        }
    }
}
