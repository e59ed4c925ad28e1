internal import Glibc
public import SystemPackage

/// One value for one cgroup file.
public struct CgroupWrite: Sendable, Hashable {
    /// Chooses the hierarchy; `cgroup` for files of the core (`cgroup.freeze`) in the cgroup2 hierarchy.
    public let controller: String
    public let file: String
    public let value: String
    /// In order, where the file before is missing: another kernel's interface for the same.
    public let alternatives: [CgroupWrite]
    /// None of the files is there: no error.
    public let ifPresent: Bool

    public init(
        _ controller: String, _ file: String, _ value: String, alternatives: [CgroupWrite] = [], ifPresent: Bool = false
    ) {
        self.controller = controller
        self.file = file
        self.value = value
        self.alternatives = alternatives
        self.ifPresent = ifPresent
    }
}

/// A cgroup of a container or pod: the same path in every hierarchy.
public struct Cgroup: Sendable {
    public struct Directory: Sendable {
        public let hierarchy: CgroupHierarchy
        public let path: FilePath

        public init(hierarchy: CgroupHierarchy, path: FilePath) {
            self.hierarchy = hierarchy
            self.path = path
        }
    }

    public let layout: CgroupLayout
    public let directories: [Directory]

    /// - Parameter path: absolute: below the root of each hierarchy; relative: below the cgroup of this process, on
    ///   v2 below its parent, since a cgroup with processes cannot have children with controllers (as runc does).
    public init(host: CgroupHost, path: String) {
        layout = host.layout
        let clean = FilePath(path).lexicallyNormalized()
        let isAbsolute = clean.isAbsolute
        let inner = isAbsolute ? clean : FilePath("/").pushing(clean).lexicallyNormalized()
        directories = host.hierarchies.map { hierarchy in
            if isAbsolute { return Directory(hierarchy: hierarchy, path: hierarchy.directory(of: clean.string)) }
            var own = FilePath(hierarchy.ownPath)
            if hierarchy.isUnified { own = own.parent }
            return Directory(hierarchy: hierarchy, path: hierarchy.directory(of: own.appending(inner.string).string))
        }
    }

    public init(layout: CgroupLayout, directories: [Directory]) {
        self.layout = layout
        self.directories = directories
    }

    /// A child cgroup.
    public init(_ parent: Cgroup, child: String) {
        layout = parent.layout
        directories = parent.directories.map {
            Directory(hierarchy: $0.hierarchy, path: $0.path.appending(child))
        }
    }

    /// `parent`, with a child of it instead in the hierarchy that is mounted at `mountpoint`.
    public init(_ parent: Cgroup, child: String, at mountpoint: FilePath) {
        layout = parent.layout
        directories = parent.directories.map {
            $0.hierarchy.mountpoint == mountpoint
                ? Directory(hierarchy: $0.hierarchy, path: $0.path.appending(child)) : $0
        }
    }

    public var unifiedDirectory: FilePath? { directories.first { $0.hierarchy.isUnified }?.path }

    /// The directory whose hierarchy has `controller` (`cgroup`: the cgroup2 one).
    public func directory(of controller: String) -> Directory? {
        if controller == "cgroup" { return directories.first { $0.hierarchy.isUnified } }
        if let found = directories.first(where: { $0.hierarchy.controllers.contains(controller) }) { return found }
        return layout == .unified ? directories.first : nil
    }

    /// Whether the controller's files are v2 files.
    public func isUnified(_ controller: String) -> Bool {
        directory(of: controller)?.hierarchy.isUnified ?? (layout == .unified)
    }

    public var exists: Bool { directories.contains { Files.exists($0.path) } }

    // MARK: Creating

    /// Makes the directory in each hierarchy; on v2 the controllers are handed down to it, on v1 cpuset is filled.
    public func create() throws(Errno) {
        for directory in directories {
            let hierarchy = directory.hierarchy
            var created = hierarchy.mountpoint
            let below = directory.path.components.dropFirst(hierarchy.mountpoint.components.count)
            for component in below {
                if hierarchy.isUnified { Self.delegate(hierarchy.controllers, at: created) }
                let parent = created
                created.append(component)
                do throws(Errno) { try Syscall.mkdirat(created, mode: 0o755) } catch .fileExists {}
                if hierarchy.controllers.contains("cpuset"), !hierarchy.isUnified {
                    try Self.inheritCPUSet(from: parent, to: created)
                }
            }
        }
    }

    /// Each controller by itself: one that cannot be enabled does not keep the others from it.
    private static func delegate(_ controllers: [String], at path: FilePath) {
        let file = path.appending("cgroup.subtree_control")
        let enabled = Set(((try? Files.readText(file)) ?? "").split(separator: " ").map(String.init))
        for controller in controllers where !enabled.contains(controller) {
            try? Files.writeKernelFile(file, "+\(controller)")
        }
    }

    /// A v1 cpuset takes no process before it has CPUs and memory nodes.
    private static func inheritCPUSet(from parent: FilePath, to child: FilePath) throws(Errno) {
        for name in ["cpuset.cpus", "cpuset.mems"] where try Files.readText(child.appending(name)).isEmpty {
            try Files.writeKernelFile(child.appending(name), Files.readText(parent.appending(name)))
        }
    }

    public func add(pid: Int32) throws(Errno) {
        for directory in directories {
            try Files.writeKernelFile(directory.path.appending("cgroup.procs"), "\(pid)")
        }
    }

    /// Writes each value in order; the first refusal is thrown with the file that it concerns.
    public func apply(_ writes: [CgroupWrite]) throws {
        for write in writes {
            guard let directory = directory(of: write.controller) else {
                throw CgroupFailure(file: write.file, value: write.value, error: .notSupported)
            }
            try apply(write, in: directory)
        }
    }

    private func apply(_ write: CgroupWrite, in directory: Directory) throws {
        var left = ([write] + write.alternatives)[...]
        while let next = left.popFirst() {
            let file = directory.path.appending(next.file)
            do throws(Errno) {
                return try Files.writeKernelFile(file, next.value)
            } catch {
                if error == .noSuchFileOrDirectory, !left.isEmpty { continue }
                if error == .noSuchFileOrDirectory, write.ifPresent { return }
                throw CgroupFailure(file: file.string, value: next.value, error: error)
            }
        }
    }

    public func read(_ controller: String, _ file: String) throws(Errno) -> String {
        guard let directory = directory(of: controller) else { throw .noSuchFileOrDirectory }
        return try Files.readText(directory.path.appending(file))
    }

    // MARK: Processes

    /// The processes of the cgroup, with those of descendants if `recursive`.
    public func pids(recursive: Bool = false) throws(Errno) -> [Int32] {
        guard let directory = processDirectory else { return [] }
        var found: Set<Int32> = []
        try Self.collect(directory, recursive: recursive, into: &found)
        return found.sorted()
    }

    /// Where the processes are listed: any hierarchy would do; those that are always joined come first.
    private var processDirectory: FilePath? {
        if layout == .unified { return unifiedDirectory }
        for controller in ["memory", "pids", "devices", "freezer"] {
            if let directory = directory(of: controller), Files.exists(directory.path) { return directory.path }
        }
        return directories.first { Files.exists($0.path) }?.path
    }

    private static func collect(
        _ path: FilePath, recursive: Bool, into found: inout Set<Int32>
    ) throws(Errno) {
        do throws(Errno) {
            let text = try Files.readText(path.appending("cgroup.procs"), limit: 16 << 20)
            found.formUnion(text.split(separator: "\n").compactMap { Int32($0) })
            guard recursive else { return }
            for child in try children(path) { try collect(child, recursive: true, into: &found) }
        } catch .noSuchFileOrDirectory {
        } catch .operationNotSupportedByDevice {
            // Removed between the listing and the reading.
        } catch .notSupported {
            // A threaded cgroup lists its processes in the domain above.
        }
    }

    private static func children(_ path: FilePath) throws(Errno) -> [FilePath] {
        var result: [FilePath] = []
        for name in try Files.list(path) where !name.contains(".") || isDirectory(path.appending(name)) {
            let child = path.appending(name)
            if isDirectory(child) { result.append(child) }
        }
        return result
    }

    private static func isDirectory(_ path: FilePath) -> Bool {
        (try? Syscall.stat(path))?.kind == .directory
    }

    /// SIGKILL for every process in it and its descendants: cgroup.kill where there is one, else frozen meanwhile so
    /// that no fork escapes. Returns when it is told, not when they are gone.
    public func kill() throws(Errno) {
        var told = false
        if let directory = unifiedDirectory, Files.exists(directory) {
            do throws(Errno) {
                try Files.writeKernelFile(directory.appending("cgroup.kill"), "1")
                told = true
            } catch .noSuchFileOrDirectory {
                // Before Linux 5.14.
            }
        }
        if told && layout == .unified { return }
        // With v1 controllers a process may be in theirs alone.
        if try pids(recursive: true).isEmpty { return }
        let frozen = !told && (try? setFrozen(true, attempts: 50)) != nil
        defer { if frozen { try? thaw() } }
        for pid in try pids(recursive: true) {
            do throws(Errno) { try Syscall.kill(pid, SIGKILL) } catch .noSuchProcess {}
        }
    }

    public func freeze() throws(Errno) { try setFrozen(true, attempts: 1000) }
    public func thaw() throws(Errno) { try setFrozen(false, attempts: 1000) }

    public var isFrozen: Bool {
        if let directory = freezerDirectory {
            return (try? Files.readText(directory.appending("freezer.state"))) != "THAWED"
                && Files.exists(directory)
        }
        guard let directory = unifiedDirectory else { return false }
        return (try? Files.readText(directory.appending("cgroup.freeze"))) == "1"
    }

    private var freezerDirectory: FilePath? {
        directories.first { $0.hierarchy.controllers.contains("freezer") && !$0.hierarchy.isUnified }?.path
    }

    private func setFrozen(_ frozen: Bool, attempts: Int) throws(Errno) {
        if let directory = freezerDirectory {
            let file = directory.appending("freezer.state")
            let wanted = frozen ? "FROZEN" : "THAWED"
            // A v1 freeze can hang half-way (FREEZING) on a new task; thawing for a moment lets it through.
            for attempt in 0..<attempts {
                try Files.writeKernelFile(file, wanted)
                if try Files.readText(file) == wanted { return }
                if frozen, attempt % 50 == 49 { try Files.writeKernelFile(file, "THAWED") }
                usleep(attempt < 10 ? 100 : 2000)
            }
            if frozen { try? Files.writeKernelFile(file, "THAWED") }
            throw .resourceBusy
        }
        guard let directory = unifiedDirectory else { throw .notSupported }
        try Files.writeKernelFile(directory.appending("cgroup.freeze"), frozen ? "1" : "0")
        guard frozen else { return }
        for attempt in 0..<attempts {
            let events = try Files.readText(directory.appending("cgroup.events"))
            if events.contains("frozen 1") { return }
            usleep(attempt < 10 ? 100 : 2000)
        }
        try? Files.writeKernelFile(directory.appending("cgroup.freeze"), "0")
        throw .resourceBusy
    }

    /// Removes it with its descendants from every hierarchy; missing directories are no error. Waits up to `patience`
    /// milliseconds for dying processes to leave.
    public func delete(patience: Int = 2000) throws(Errno) {
        for directory in directories { try Self.remove(directory.path, patience: patience) }
    }

    private static func remove(_ path: FilePath, patience: Int) throws(Errno) {
        var waited = 0
        var pause = 100
        while true {
            do throws(Errno) {
                try Syscall.unlinkat(path, removeDirectory: true)
                return
            } catch .noSuchFileOrDirectory {
                return
            } catch .resourceBusy {
                if waited >= patience * 1000 { throw .resourceBusy }
                for child in try children(path) { try remove(child, patience: patience) }
            }
            usleep(UInt32(pause))
            waited += pause
            pause = min(pause * 2, 20_000)
        }
    }
}

/// A cgroup file that refused a value.
public struct CgroupFailure: Error, CustomStringConvertible {
    public let file: String
    public let value: String
    public let error: Errno

    public var description: String { "write \"\(value)\" to \(file): \(error)" }
}
