import Core
import Engine
import Foundation
import SystemPackage
import TestSupport
import Testing

/// `ctr images pull`: the client talks to the registry and to Berth's content and snapshots.
@Suite("ctr with a registry") struct CtrPullTests {
    @Test func pullsFromALocalRegistry() async throws {
        try await TestDaemon.run { daemon in
            let fixture = try await ImageFixture(below: daemon.scratch.path)
            let registry = try await TestRegistry(below: daemon.scratch.path)
            defer { registry.stop() }
            try await registry.push(fixture, as: "box:v1")
            let name = "127.0.0.1:\(registry.port)/box:v1"
            try await daemon.ctr("images", "pull", "--plain-http", name)
            #expect(try await daemon.ctr("images", "check").contains(/complete \(3\/3\)/))
            let status = try await daemon.images.status(of: name, namespace: "default")
            #expect(status?.config.config?.env == ["PATH=/bin"])
            #expect(try await daemon.ctr("leases", "ls", "-q") == "")
        }
    }
}
