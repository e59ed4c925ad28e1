internal import ArgumentParser

struct Resume: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Lets the processes of a paused container go on.")

    @Argument(help: "ID of the container.")
    var id: String

    func perform(_ globals: GlobalOptions) throws {
        let runtime = globals.runtime
        try runtime.resume(try runtime.container(id))
    }
}
