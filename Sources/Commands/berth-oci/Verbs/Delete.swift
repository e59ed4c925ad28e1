internal import ArgumentParser
internal import Core

struct Delete: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Removes what a container holds.",
        discussion: "With --force also what runs, and what a create that was killed half-way left behind.")

    @Flag(name: [.customShort("f"), .long], help: "Kill the container first; a missing one is no error.")
    var force = false

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        try Self.perform(id, force: force, globals)
    }

    static func perform(_ id: String, force: Bool, _ globals: GlobalOptions) throws {
        let runtime = globals.runtime
        do {
            try runtime.delete(try runtime.container(id), force: force)
        } catch let error as BerthError where error.code == .notFound {
            // A directory without a state: a create that did not come to its end.
            if force {
                _ = try runtime.deleteLeftovers(id)
                return
            }
            throw error
        }
    }
}
