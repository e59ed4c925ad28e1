internal import ArgumentParser

struct Pause: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Freezes every process of a container.")

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        let runtime = globals.runtime
        try runtime.pause(try runtime.container(id))
    }
}
