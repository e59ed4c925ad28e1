import Core
import Foundation
import Images
import LinuxKernel
import Logging
import Networking
import OCISpec
import Store
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Engine

/// An engine of a test's own with a busybox image: real namespaces, cgroups, overlayfs and launcher; the network is a fake
/// unless a test brings its own.
final class EngineFixture: Sendable {
    static let image = "docker.io/library/box:test"
    static let launcher = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        .removingLastComponent().appending("bin/berth-launch")
    private static let registry = RegistryClient()

    let scratch: ScratchDirectory
    let mark: String
    let network = RecordingNetwork()
    private let usesSystemd: Bool
    private let plugins: any LifecyclePlugins
    private let configure: @Sendable (inout EngineConfiguration) -> Void
    private let opened: Mutex<(database: Store.Database, engine: Engine)>

    var database: Store.Database { opened.withLock { $0.database } }
    var engine: Engine { opened.withLock { $0.engine } }

    init(
        usesSystemd: Bool = false, plugins: any LifecyclePlugins = NoPlugins(),
        configure: @escaping @Sendable (inout EngineConfiguration) -> Void = { _ in }
    ) async throws {
        self.usesSystemd = usesSystemd
        self.plugins = plugins
        self.configure = configure
        scratch = try ScratchDirectory("engine")
        mark = "eng\(Identifier.random().prefix(10))"
        try scratch.directory("root")
        opened = Mutex(
            try await Self.open(
                scratch, mark: mark, network: network, plugins: plugins, usesSystemd: usesSystemd, configure))
        try await addImage()
    }

    /// A new engine on the same directories, while the old one is simply no longer used: as after `kill -9`.
    ///
    /// - Parameter reboot: the state directory is gone too.
    func restart(reboot: Bool = false) async throws {
        try await endEngine()
        if reboot {
            for mount in MountTable.below(scratch.appending("run"), in: try MountTable.read()) {
                try Syscall.umount2(FilePath(mount.target), .detach)
            }
            try Files.removeTree(scratch.appending("run"))
        }
        let new = try await Self.open(
            scratch, mark: mark, network: network, plugins: plugins, usesSystemd: usesSystemd, configure)
        opened.withLock { $0 = new }
    }

    /// A dead engine collects nothing any more.
    private func endEngine() async throws {
        try await engine.abandon()
        engine.images.storage.collector.stop()
        await engine.images.storage.collector.settle()
        try database.close()
    }

    private static func open(
        _ scratch: ScratchDirectory, mark: String, network: RecordingNetwork, plugins: any LifecyclePlugins,
        usesSystemd: Bool, _ configure: (inout EngineConfiguration) -> Void
    ) async throws -> (database: Store.Database, engine: Engine) {
        let root = scratch.appending("root")
        let database = try Store.Database(path: root.appending("meta.db"))
        let images = try ImageService(root: root, database: database, registry: registry)
        try await images.recover()
        var configuration = EngineConfiguration(root: root, state: scratch.appending("run"))
        configuration.cgroupParent = "/\(mark)"
        configuration.launcher = launcher
        configuration.usesSystemd = usesSystemd
        configuration.cdiDirectories = [scratch.appending("cdi")]
        configure(&configuration)
        let engine = try await Engine(
            configuration: configuration, database: database, images: images, network: network,
            plugins: plugins, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        return (database, engine)
    }

    /// Adds a busybox image; `change` adds to it, and layers of one file each, `/layers/N`, come on top.
    func addImage(
        _ name: String = image, further layers: Int = 0,
        _ change: (inout RootFSImageBuilder) throws -> Void = { _ in }
    ) async throws {
        var builder = RootFSImageBuilder(execution: .init(env: ["FROM_IMAGE=yes"], cmd: ["/bin/sh", "-c", "exit 5"]))
        let busybox = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "/bin/busybox")))
        let applets = try await Command.run("/bin/busybox", ["--list-full"]).split(separator: "\n").map(String.init)
        try builder.addBusybox(busybox, applets: applets)
        try change(&builder)
        let images = engine.images
        let target = try addLayers(layers, to: builder.build(into: images.storage.blobs))
        try await images.leases.withLease(namespace: ImageService.criNamespace, for: "test") { scope in
            try await images.adopt(target, scope: scope)
            try await images.assign(name, to: target, in: scope)
        }
        // Unpacked once, so that the image's layer is no leftover of a test.
        _ = try await images.prepareRootFS(containerID: "warm", image: name)
        try await images.removeRootFS(containerID: "warm")
    }

    private func addLayers(_ count: Int, to target: Descriptor) throws -> Descriptor {
        guard count > 0 else { return target }
        let blobs = engine.images.storage.blobs
        func read<Document: Decodable>(_ type: Document.Type, _ blob: Descriptor) throws -> Document {
            try StrictJSON.decode(type, from: blobs.read(blob, limit: 1 << 20), what: "document", limit: 1 << 20)
        }
        var manifest = try read(Manifest.self, target)
        var config = try read(ImageConfig.self, manifest.config)
        for number in 0..<count {
            var bytes: [UInt8] = []
            try withoutActuallyEscaping({ (part: UnsafeRawBufferPointer) in bytes += part }) {
                var tar = TarWriter($0)
                try tar.add(TarEntry(path: Array("layers/\(number)".utf8)), content: Array("\(number)".utf8))
                try tar.finish()
            }
            let digest = try blobs.write(bytes)
            manifest.layers.append(Descriptor(mediaType: .layer, digest: digest, size: Int64(bytes.count)))
            config.rootfs.diffIDs.append(digest)
        }
        let document = try StrictJSON.encode(config)
        manifest.config.digest = try blobs.write(document)
        manifest.config.size = Int64(document.count)
        var result = target
        let whole = try StrictJSON.encode(manifest)
        result.digest = try blobs.write(whole)
        result.size = Int64(whole.count)
        return result
    }

    // MARK: Requests

    func podConfig(_ name: String = "p", _ change: (inout PodSandboxConfig) -> Void = { _ in }) -> PodSandboxConfig {
        var config = PodSandboxConfig(metadata: PodSandboxMetadata(name: name, uid: mark, namespace: "default"))
        config.logDirectory = scratch.appending("logs").string
        config.security.namespaces.pid = .container
        change(&config)
        return config
    }

    func containerConfig(
        _ script: String, name: String = "c", _ change: (inout ContainerConfig) -> Void = { _ in }
    ) -> ContainerConfig {
        var config = ContainerConfig(
            metadata: ContainerMetadata(name: name), image: ImageRequest(image: EngineFixture.image))
        config.command = ["/bin/sh", "-c", script]
        config.logPath = "\(name).log"
        config.security.namespaces.pid = .container
        change(&config)
        return config
    }

    /// A started container in a pod of its own name.
    func start(_ script: String, name: String = "c", in pod: String) async throws -> String {
        let id = try await engine.createContainer(containerConfig(script, name: name), in: pod)
        try await engine.startContainer(id)
        return id
    }

    func log(_ name: String = "c") -> String {
        (try? Files.readText(scratch.appending("logs/\(name).log"))) ?? ""
    }

    func snapshot() throws -> HostSnapshot {
        try HostSnapshot(
            of: scratch.appending("run"), scratch.appending("root/snapshots"), scratch.appending("root/volumes"),
            mark: mark)
    }

    /// What was left since `before`. Network links are others': the network here is a fake.
    func leftovers(since before: HostSnapshot) throws -> [String] {
        try snapshot().added(since: before).filter { !$0.hasPrefix("link ") }
    }

    /// Removes every pod; what a test leaves on purpose goes with it.
    func close() async throws {
        network.failure.withLock { $0 = nil }
        for pod in engine.podSandboxes() { try await engine.removePodSandbox(pod.id) }
        try await endEngine()
    }

    /// Runs `body` with a fixture, and takes everything away whatever happens.
    static func with(
        plugins: any LifecyclePlugins = NoPlugins(),
        configure: @escaping @Sendable (inout EngineConfiguration) -> Void = { _ in },
        _ body: (EngineFixture) async throws -> Void
    ) async throws {
        let fixture = try await EngineFixture(plugins: plugins, configure: configure)
        do { try await body(fixture) } catch {
            try? await fixture.close()
            throw error
        }
        try await fixture.close()
    }
}

/// Remembers what it was asked, gives every pod an address, and fails on request.
final class RecordingNetwork: PodNetwork {
    let connected = Mutex<Set<String>>([])
    let failure = Mutex<BerthError?>(nil)
    let tearDownFailure = Mutex<BerthError?>(nil)

    func status() async -> NetworkStatus { NetworkStatus(isReady: true, provider: "fake") }

    func setUp(_ request: PodNetworkRequest) async throws -> PodNetworkResult {
        if let failure = failure.withLock({ $0 }) { throw failure }
        _ = connected.withLock { $0.insert(request.podID) }
        return PodNetworkResult(addresses: [try IPAddressPrefix("10.99.0.7/24")])
    }

    func tearDown(_ request: PodNetworkRequest) async throws {
        if let failure = tearDownFailure.withLock({ $0 }) { throw failure }
        _ = connected.withLock { $0.remove(request.podID) }
    }

    func check(_ request: PodNetworkRequest) async throws {}
    func collectGarbage(keeping: Set<String>) async throws {}
}
