internal import ArgumentParser
internal import OCIRuntime

struct ShowPlan: Verb {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Shows what create would do, step by step.",
        discussion: "Nothing is made. Each step stands with its place (host or child), its words and its system call.")

    @Option(name: [.customShort("b"), .long], help: "Directory of the bundle.")
    var bundle = "."

    @Argument(help: "ID of the container.")
    var id = "container"

    func perform(_ globals: GlobalOptions) throws {
        let plan = try globals.runtime.plan(id: id, bundle: GlobalOptions.absolute(bundle))
        Output.text(PlanPrinter.text(plan))
    }
}
