internal import ArgumentParser
internal import Core
internal import Images
internal import SystemPackage

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read every blob of the content store and compare its digest.",
        discussion: """
            A damaged blob is put aside (content/quarantine below the root) and fetched again with the next pull of its image.
            The daemon may run meanwhile. The exit status is 1 if anything was damaged.
            """)

    @Option(help: "The configuration file that names the root directory.")
    var config: String?

    @Option(help: "The daemon's root directory, instead of the configuration's.")
    var root: String?

    func run() async throws {
        let directory: String
        if let root { directory = root } else { directory = try DaemonConfiguration.load(config).root }
        let store = try ContentStore(existing: FilePath(directory).appending("content"))
        let found = try await store.verifyAll()
        for (_, problem) in found.damaged { print("\(problem)") }
        print("\(found.blobs) blobs, \(found.bytes) bytes, \(found.damaged.count) damaged")
        if !found.damaged.isEmpty { throw ExitCode(1) }
    }
}
