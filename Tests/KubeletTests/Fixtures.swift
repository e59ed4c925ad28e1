internal import Foundation
internal import Logging
internal import SystemPackage
internal import Testing

@testable internal import Kubelet

func pods(_ yaml: String, path: String = "/manifests/test.yaml") throws -> [Pod] {
    try ManifestParser.parse(yaml, path: path, nodeName: "node").pods
}

func pod(_ yaml: String) throws -> Pod { try #require(try pods(yaml).first) }

/// A pod of the given containers, each `busybox:local`, in YAML's flow style.
func simplePod(
    _ containers: [String] = ["web"], policy: String = "Always", initContainers: [String] = [], more: String = ""
) -> String {
    func items(_ list: [String]) -> String {
        list.map { $0.hasPrefix("{") ? $0 : "{name: \($0), image: 'busybox:local'}" }.joined(separator: ", ")
    }
    return """
        apiVersion: v1
        kind: Pod
        metadata: {name: demo}
        spec:
          restartPolicy: \(policy)
          initContainers: [\(items(initContainers))]
          containers: [\(items(containers))]
        \(more.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
        """
}

func sidecar(_ name: String, more: String = "") -> String {
    "{name: \(name), image: 'busybox:local', restartPolicy: Always\(more)}"
}

/// A directory of its own, removed with what is mounted in it.
final class ScratchFolder {
    let path: FilePath

    init() throws {
        path = FilePath("/tmp/berth-kubelet-test-\(UUID().uuidString.prefix(8))")
        try HostFiles.makeDirectories(path)
    }

    deinit { try? HostFiles.removeFolder(path) }
}

func silentLogger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

/// Waits until `condition` holds.
func eventually(
    within seconds: Double = 10, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = Date() + seconds
    while Date() < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("did not come true within \(seconds) s", sourceLocation: sourceLocation)
}
