internal import Core
internal import Foundation
internal import SystemPackage
internal import TestSupport
internal import Testing

@testable internal import Images

/// `hosts.toml` as containerd defines it.
struct HostsFileTests {
    @Test("hosts keep the order of the file, each with what it says")
    func everything() throws {
        let file = try HostsFile(
            """
            server = "https://registry.example"
            capabilities = ["pull"]
            ca = "root.pem"

            [host."https://z.example"]
              capabilities = ["Pull", "resolve"]
              skip_verify = true
              client = [["c.pem", "c.key"], ["d.pem", "d.key"]]
              dial_timeout = "1m2.5s"
            [host."https://z.example".header]
              x-one = "1"
              x-many = ["2", "3"]
            [ 'host' . 'http://a.example:5000/v2/proxy' ]
              override_path = true
              ca = ["/a.pem", "b.pem"]
              client = "both.pem"
            [host.m]
              unknown = 1
            """)
        #expect(file.hosts.map(\.address) == ["https://z.example", "http://a.example:5000/v2/proxy", "m"])
        let first = file.hosts[0]
        #expect(first.capabilities == [.pull, .resolve])
        #expect(first.skipVerify == true)
        #expect(first.clients == [["c.pem", "c.key"], ["d.pem", "d.key"]])
        #expect(first.dialTimeout == 62.5)
        #expect(
            first.headers == [
                .init(name: "x-many", value: "2"), .init(name: "x-many", value: "3"), .init(name: "x-one", value: "1"),
            ])
        #expect(file.hosts[1].overridesPath)
        #expect(file.hosts[1].authorities == ["/a.pem", "b.pem"])
        #expect(file.hosts[1].clients == [["both.pem"]])
        #expect(file.hosts[2].capabilities == .all)
        #expect(file.server.address == "https://registry.example")
        #expect(file.server.capabilities == .pull)
        #expect(file.server.authorities == ["root.pem"])
    }

    @Test(
        "what is wrong is named",
        arguments: [
            ("server = 1", "server must be a string"),
            ("capabilities = [\"delete\"]", "must be one of pull, resolve, push, referrers"),
            ("[host.\"https://m\"]\nca = 3", "host.\"https://m\": ca must be an array of strings"),
            ("[host.m]\nclient = [[\"a\"]]", "client must be pairs"),
            ("[host.m.header]\n\"a b\" = \"1\"", "header.\"a b\""),
            ("[host.m.header]\na = \"x\\r\\ny: z\"", "control character"), ("host = 1", "host must be tables"),
            ("dial_timeout = \"fast\"", "dial_timeout must be a duration"), ("server = ", "line 1"),
            ("skip_verify = \"yes\"", "skip_verify must be true or false"),
        ])
    func wrong(text: String, words: String) {
        let error = #expect(throws: BerthError.self) { _ = try HostsFile(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("a registry's directory is found with its port, else the one for all")
    func names() throws {
        let scratch = try ScratchDirectory("hosts")
        let directory = HostsDirectory(roots: [scratch.appending("absent"), scratch.path])
        let configuration = RegistryClient.Configuration()
        func server(_ domain: String) throws -> [String]? {
            try directory.hosts(of: domain, configuration)?.map(\.api)
        }
        #expect(try server("a.example") == nil)
        try scratch.file("_default/hosts.toml", "[host.\"https://all.example\"]")
        try scratch.file("a.example_5000_/hosts.toml", "server = \"https://one.example/x\"")
        try scratch.file("b.example:5000/hosts.toml", "server = \"https://two.example/v2\"")
        try scratch.file(
            "docker.io/hosts.toml", "[host.\"https://registry-1.docker.io\"]\n[host.\"https://m.example\"]")
        #expect(try server("a.example") == ["https://all.example/v2", "https://a.example/v2"])
        #expect(try server("a.example:5000") == ["https://one.example/x/v2"])
        #expect(try server("b.example:5000") == ["https://two.example/v2"])
        let hub = try #require(try directory.hosts(of: "docker.io", configuration))
        // The registry itself among its mirrors may see the credentials for it.
        #expect(hub.map(\.isMirror) == [false, true, false])
        #expect(hub.map(\.domain) == ["docker.io", "docker.io", "docker.io"])
    }

    @Test("certificates alone, in Docker's layout, serve too; what is none is refused by name")
    func certificates() async throws {
        let registry = try await DockerRegistry(tls: true)
        let scratch = try ScratchDirectory("hosts")
        let pem = try String(contentsOfFile: registry.certificate, encoding: .utf8)
        try scratch.file("r.example/ca.crt", pem)
        try scratch.file("r.example/me.cert", pem)
        try scratch.file("r.example/me.key", try String(contentsOfFile: registry.key, encoding: .utf8))
        let directory = HostsDirectory(roots: [scratch.path])
        let host = try #require(try directory.hosts(of: "r.example", .init())?.first)
        #expect(host.trust.authorities == [Array(pem.utf8)])
        #expect(host.trust.identity?.certificate == Array(pem.utf8))
        // Another machine that the registry names gets to see no certificate of ours.
        #expect(host.trust.forOthers.identity == nil)
        try scratch.file("bad.example/ca.crt", "no certificate")
        let error = #expect(throws: BerthError.self) { _ = try directory.hosts(of: "bad.example", .init()) }
        #expect(error?.description.contains("bad.example/hosts.toml") == true, "\(error?.description ?? "")")
        try scratch.file("gone.example/hosts.toml", "ca = \"absent.pem\"")
        let gone = #expect(throws: BerthError.self) { _ = try directory.hosts(of: "gone.example", .init()) }
        #expect(gone?.description.contains("gone.example/absent.pem") == true, "\(gone?.description ?? "")")
    }
}
