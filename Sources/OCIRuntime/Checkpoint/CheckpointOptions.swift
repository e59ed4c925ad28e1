public import CheckpointAPI
internal import Core
internal import LinuxKernel
public import SystemPackage

/// What `checkpoint` and `restore` are told, with the names of runc's flags.
public struct CheckpointOptions: Sendable {
    /// Where the images are.
    public var imagePath: FilePath
    /// Where CRIU works and writes its log; `nil`: `imagePath`.
    public var workPath: FilePath?
    /// Images of a pre-dump, relative to `imagePath`.
    public var parentPath: String?
    public var leaveRunning = false
    public var tcpEstablished = false
    /// Restored TCP connections are closed ones.
    public var tcpClose = false
    public var tcpSkipInFlight = false
    public var linkRemap = false
    public var externalUnixSockets = false
    public var shellJob = false
    public var fileLocks = false
    public var preDump = false
    public var autoDedup = false
    public var lazyPages = false
    public var statusDescriptor: Int32?
    public var pageServer: (address: String, port: Int32)?
    public var cgroupMode = Berth_Checkpoint_V1_CgroupMode.soft
    /// CLONE_NEW* bits.
    public var emptyNamespaces: UInt32 = 0
    public var lsmProfile: String?
    public var lsmMountContext: String?
    /// A name or a path; `nil`: `criu` of the PATH.
    public var program: String?
    /// CRIU is killed after it; its container may not survive that. `nil`: never.
    public var timeout: Duration?

    public init(imagePath: FilePath) {
        self.imagePath = imagePath
    }

    /// - Throws: `BerthError` (`invalidArgument`) for a mode that nobody knows.
    public static func cgroupMode(_ name: String) throws -> Berth_Checkpoint_V1_CgroupMode {
        switch name {
        case "", "soft": .soft
        case "full": .full
        case "strict": .strict
        case "ignore": .ignore
        default: throw BerthError(.invalidArgument, "invalid manage-cgroups-mode value: \"\(name)\"")
        }
    }

    /// - Throws: `BerthError` (`invalidArgument`) for another type than `network`.
    public static func emptyNamespaces(_ names: [String]) throws -> UInt32 {
        try names.reduce(0) { bits, name in
            guard name == "network" else {
                throw BerthError(.invalidArgument, "namespace \"\(name)\" is not supported by --empty-ns")
            }
            return bits | NamespaceTypes.network.rawValue
        }
    }

    /// The directories, opened; the work directory is made.
    func open() throws -> (images: OwnedDescriptor, work: OwnedDescriptor?) {
        do {
            let images = try Syscall.open(imagePath, [.readOnly, .directory])
            guard let workPath else { return (images, nil) }
            try Files.makeDirectories(workPath, mode: 0o700)
            return (images, try Syscall.open(workPath, [.readOnly, .directory]))
        } catch {
            throw BerthError(.invalidArgument, "open \(imagePath) and \(workPath?.string ?? "its log")", cause: error)
        }
    }

    /// What dump and restore have in common.
    func common(_ images: OwnedDescriptor, _ work: OwnedDescriptor?, log: String) -> Berth_Checkpoint_V1_Options {
        .with {
            $0.imagesDirectory = images.rawValue
            if let work { $0.workDirectory = work.rawValue }
            $0.logLevel = 4
            $0.logFile = log
            $0.manageCgroups = true
            $0.cgroupMode = cgroupMode
            $0.notifies = true
            $0.shellJob = shellJob
            $0.externalUnixSockets = externalUnixSockets
            $0.tcpEstablished = tcpEstablished
            if tcpClose { $0.tcpClose = true }
            $0.fileLocks = fileLocks
            $0.emptyNamespaces = emptyNamespaces
            $0.orphanPtsMaster = true
            $0.autoDedup = autoDedup
            $0.lazyPages = lazyPages
        }
    }

    /// The last error of CRIU's log, for whoever has no time to read it.
    func explain(_ error: any Error, log: String) -> any Error {
        let file = (workPath ?? imagePath).appending(log)
        guard var known = error as? BerthError, let bytes = try? Files.read(file, limit: 64 << 20) else { return error }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        if let line = lines.last(where: { $0.contains("Error (") }) { known.message += ": \(line)" }
        known.advice = "see \(file)"
        return known
    }
}
