internal import ArgumentParser
internal import Core
internal import OCIRuntime
internal import SystemPackage

/// Options of the verbs that make a container.
struct BundleOptions: ParsableArguments {
    @Option(name: [.customShort("b"), .long], help: "Directory of the bundle.")
    var bundle = "."

    @Option(help: "Unix socket that receives the master of the container's terminal.")
    var consoleSocket: String?

    @Option(help: "Unix socket that receives a pidfd of the container's process.")
    var pidfdSocket: String?

    @Option(help: "File to write the container's process ID to.")
    var pidFile: String?

    @Option(help: "Number of descriptors from 3 on that are passed to the container.")
    var preserveFds = 0

    @Flag(help: "Move the root instead of pivoting, as a ramdisk needs it.")
    var noPivot = false

    @Flag(help: "Do not make a new session keyring.")
    var noNewKeyring = false

    func validate() throws {
        guard (0...1024).contains(preserveFds) else {
            throw ValidationError("--preserve-fds must be from 0 to 1024")
        }
    }

    var request: BundleRequest {
        var options = RunOptions()
        options.consoleSocket = consoleSocket.map { GlobalOptions.absolute($0) }
        options.pidFile = pidFile.map { GlobalOptions.absolute($0) }
        options.pidfdSocket = pidfdSocket.map { GlobalOptions.absolute($0) }
        options.preservedDescriptors = preserveFds
        options.noPivot = noPivot
        options.noNewKeyring = noNewKeyring
        return BundleRequest(path: GlobalOptions.absolute(bundle), options: options)
    }
}

/// What a container is made of, and how.
struct BundleRequest {
    var path: FilePath
    var options: RunOptions

    /// A terminal of a process that nobody waits for needs a socket to send it to; one that is waited for does not.
    func checkConsole(terminal: Bool, detached: Bool) throws {
        if terminal, detached, options.consoleSocket == nil {
            throw BerthError(
                .invalidArgument, "cannot allocate tty if berth-oci will detach without setting console socket")
        }
        if options.consoleSocket != nil, !terminal || !detached {
            throw BerthError(
                .invalidArgument, "cannot use console socket if berth-oci will not detach or allocate tty")
        }
    }
}
