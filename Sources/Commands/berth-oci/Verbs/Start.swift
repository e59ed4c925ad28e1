internal import ArgumentParser

struct Start: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Starts the process of a created container.")

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        try Self.perform(id, globals)
    }

    static func perform(_ id: String, _ globals: GlobalOptions) throws {
        let runtime = globals.runtime
        try runtime.start(try runtime.container(id))
    }
}
