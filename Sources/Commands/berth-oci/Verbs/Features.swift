internal import ArgumentParser
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec

struct Features: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Prints what this runtime supports on this host, as JSON.",
        discussion: "The document is that of the runtime specification, features.md.")

    func perform(_ globals: GlobalOptions) throws {
        try Output.json(RuntimeFeatures(facts: HostFacts.detect()))
    }
}
