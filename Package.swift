// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Lower never imports higher: the order below is the order of DESIGN section 9, and
// hack/check-layers compares the imports of every file with these lists.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

extension Target.Dependency {
    static let log = product(name: "Logging", package: "swift-log")
    static let system = product(name: "SystemPackage", package: "swift-system")
    static let protobuf = product(name: "SwiftProtobuf", package: "swift-protobuf")
    static let arguments = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let grpc = product(name: "GRPCCore", package: "grpc-swift-2")
    static let grpcProtobuf = product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
    static let grpcTransport = product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
    static let database = product(name: "GRDB", package: "GRDB.swift")
    static let databaseLibrary = product(name: "GRDBSQLite", package: "GRDB.swift")
    static let http = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let nio = product(name: "NIOCore", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let http2 = product(name: "NIOHTTP2", package: "swift-nio-http2")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let tls = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let subprocess = product(name: "Subprocess", package: "swift-subprocess")
    static let httpServer = product(name: "Hummingbird", package: "hummingbird")
    static let lifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let yaml = product(name: "Yams", package: "Yams")
    static let toml = product(name: "TOMLKit", package: "TOMLKit")
}

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func command(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies + [.arguments], path: "Sources/Commands/\(name)",
        swiftSettings: settings)
}

func tests(_ target: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(target)Tests", dependencies: [.target(name: target), "TestSupport"] + dependencies,
        swiftSettings: settings)
}

func systemLibrary(_ name: String, folder: String, package: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/CShims/System/\(folder)", pkgConfig: nil, providers: [.apt([package])])
}

let targets: [Target] = [
    // C: syscall shims and module maps of the system's libraries. The launcher is built by make.
    .target(name: "CKernel", path: "Sources/CShims/Kernel"),
    systemLibrary("CSeccomp", folder: "Seccomp", package: "libseccomp-dev"),
    systemLibrary("CNFTables", folder: "NFTables", package: "libnftables-dev"),
    systemLibrary("CZstd", folder: "Zstd", package: "libzstd-dev"),
    systemLibrary("CISAL", folder: "ISAL", package: "libisal-dev"),
    systemLibrary("CZlib", folder: "Zlib", package: "zlib1g-dev"),

    // Generated code only.
    library("LaunchAPI", [.protobuf]),
    library("CheckpointAPI", [.protobuf]),
    library("NRIAPI", [.protobuf]),
    library("CRIAPI", [.protobuf, .grpc, .grpcProtobuf]),
    library("ContainerdAPI", [.protobuf, .grpc, .grpcProtobuf]),

    library("Core", [.log, .system]),
    library("LinuxKernel", ["Core", "CKernel", .system, .log]),
    library("OCISpec", ["Core"]),
    library(
        "OCIRuntime",
        [
            "OCISpec", "LinuxKernel", "Core", "LaunchAPI", "CheckpointAPI", "CSeccomp", .protobuf, .system, .log,
        ]),
    library("Store", ["Core", .database, .databaseLibrary, .log, .system]),
    library(
        "Networking", ["LinuxKernel", "OCISpec", "Core", "CNFTables", .subprocess, .system, .log]),
    library(
        "Images",
        [
            "OCISpec", "LinuxKernel", "Core", "CZstd", "CISAL", .http, .nio, .nioPosix, .tls, .crypto, .toml, .system,
            .log,
        ]),
    library(
        "Engine",
        [
            "Images", "Networking", "Store", "OCIRuntime", "LaunchAPI", "OCISpec", "LinuxKernel", "Core",
            .protobuf, .system, .log, .yaml,
        ]),
    // Plugins of the Node Resource Interface, over ttrpc.
    library("NRI", ["Engine", "OCISpec", "LinuxKernel", "Core", "NRIAPI", .protobuf, .system, .log]),
    // gRPC on unix sockets, for servers and clients.
    library("SocketTransport", ["Core", .grpc, .grpcTransport, .nio, .nioPosix, .http2, .system]),
    // Exec, attach and port-forward: SPDY, WebSocket and the server behind the one-time URLs.
    library("Streaming", ["Core", "CZlib", .nio, .nioPosix, .crypto, .log]),
    library(
        "CRIServer", ["Engine", "Streaming", "Core", "CRIAPI", .grpc, .grpcProtobuf, .protobuf, .nio, .log]),
    library(
        "ContainerdServer", ["Engine", "Core", "ContainerdAPI", .grpc, .grpcProtobuf, .protobuf, .log]),
    library(
        "Kubelet",
        ["Core", "CRIAPI", .grpc, .grpcProtobuf, .protobuf, .yaml, .httpServer, .http, .nio, .nioPosix, .log, .system]),
    // Tables, progress bars and durations of the command lines.
    library("Terminal", ["Core", .protobuf, .yaml]),

    command(
        "berthd",
        [
            "CRIServer", "ContainerdServer", "NRI", "Streaming", "Engine", "Images", "Networking", "Store", "Core",
            "LinuxKernel", "SocketTransport", .grpc, .lifecycle, .toml, .log, .system,
        ]),
    command("berth-oci", ["OCIRuntime", "OCISpec", "LaunchAPI", "LinuxKernel", "Core", .protobuf, .system, .log]),
    command("berth-kubelet", ["Kubelet", "SocketTransport", "Core", .grpc, .log, .system]),
    command(
        "berth-crictl",
        [
            "CRIAPI", "ContainerdAPI", "Streaming", "SocketTransport", "Terminal", "LinuxKernel", "Core", .grpc,
            .grpcProtobuf, .grpcTransport, .protobuf, .yaml, .system,
        ]),
    command(
        "berth-ctr",
        [
            "ContainerdAPI", "SocketTransport", "Terminal", "OCISpec", "Core", "Images", .grpc, .grpcProtobuf,
            .grpcTransport, .protobuf, .system,
        ]),

    // Drives a CRI socket for hack/bench and hack/soak; not installed.
    .executableTarget(
        name: "bench-cri", dependencies: ["CRIAPI", "Streaming", "SocketTransport", .arguments, .grpc, .grpcTransport],
        path: "Benchmarks/bench-cri",
        swiftSettings: settings),

    // Scratch directories, host snapshots (mounts, cgroups, namespaces, processes) and fakes.
    .target(
        name: "TestSupport", dependencies: ["Core", "LinuxKernel", .system], path: "Tests/Support",
        swiftSettings: settings),
    tests("Core"),
    tests("LinuxKernel", ["Core", .system]),
    tests("OCISpec", ["Core"]),
    tests("OCIRuntime", ["OCISpec", "LinuxKernel", "LaunchAPI", "CheckpointAPI", "Core", .protobuf, .system]),
    tests("Store", ["LinuxKernel", "Core", .database, .system]),
    tests("Networking", ["LinuxKernel", "OCISpec", "Core", .system]),
    tests("Images", ["OCISpec", "LinuxKernel", "Core", .system, .crypto]),
    tests("Engine", ["Core", "OCISpec", "Images", "Store", "OCIRuntime", "Networking", .system]),
    .testTarget(
        name: "NRITests",
        dependencies: [
            "NRI", "TestSupport", "Engine", "Images", "Networking", "Store", "OCISpec", "LinuxKernel", "Core", "NRIAPI",
            .protobuf, .system, .log,
        ], exclude: ["plugin.py"], swiftSettings: settings),
    tests("Streaming", ["Core", .log]),
    tests("SocketTransport", [.grpc, .grpcTransport, .nio, .nioPosix, .nioEmbedded, .system]),
    tests("CRIServer", ["Engine", "Core", "CRIAPI", .grpc, .nio]),
    tests(
        "ContainerdServer",
        [
            "Engine", "Images", "Store", "OCISpec", "LinuxKernel", "Core", "ContainerdAPI", .grpc, .grpcTransport,
            .system,
        ]),
    tests("Kubelet", ["Core", "CRIAPI", .grpc]),
    tests("Terminal", ["Core", "CRIAPI"]),
    // Drives the built programs as root; needs `make` first.
    .testTarget(
        name: "IntegrationTests",
        dependencies: [
            "TestSupport", "CRIAPI", "ContainerdAPI", "LaunchAPI", "OCISpec", "OCIRuntime", "Networking", "LinuxKernel",
            "Core", .grpc, .grpcProtobuf, .grpcTransport, .protobuf, .system, .subprocess,
        ],
        path: "Tests/Integration", swiftSettings: settings),
]

/// `BERTH_ONLY=ImagesTests,StoreTests` limits the package to those targets and what they need, so that work on one
/// module does not wait for the others.
func closure(of names: [String], in targets: [Target]) -> [Target] {
    let byName = Dictionary(uniqueKeysWithValues: targets.map { ($0.name, $0) })
    var wanted: Set<String> = []
    var queue = names
    while let name = queue.popLast() {
        guard let target = byName[name], wanted.insert(name).inserted else { continue }
        for dependency in target.dependencies {
            switch dependency {
            case .byNameItem(let name, _), .targetItem(let name, _): queue.append(name)
            default: break
            }
        }
    }
    return targets.filter { wanted.contains($0.name) }
}

let only = ProcessInfo.processInfo.environment["BERTH_ONLY"]?.split(separator: ",").map(String.init)

let chosen = only.map { closure(of: $0, in: targets) } ?? targets

/// Others would be fetched all the same, and warned about.
func isNeeded(_ package: Package.Dependency, by targets: [Target]) -> Bool {
    guard case .sourceControl(_, let location, _) = package.kind else { return true }
    return targets.flatMap(\.dependencies).contains {
        if case .productItem(_, .some(let name), _, _) = $0 { location.hasSuffix("/" + name) } else { false }
    }
}

let package = Package(
    name: "berth",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.0"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ].filter { isNeeded($0, by: chosen) },
    targets: chosen
)
