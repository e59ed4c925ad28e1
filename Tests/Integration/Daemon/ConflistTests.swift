internal import LinuxKernel
internal import Networking
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `network.conflist`: what plugins would do, by the daemon itself.
@Suite struct ConflistTests {
    private static func conflist(_ names: Daemon.Names) -> String {
        """
        {"cniVersion": "1.0.0", "name": "own", "plugins": [
          {"type": "bridge", "bridge": "\(names.mark)", "isGateway": true, "ipMasq": true,
           "ipam": {"type": "host-local", "ranges": [[{"subnet": "\(names.subnet)"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
          {"type": "portmap", "capabilities": {"portMappings": true}}]}
        """
    }

    /// There are no plugins, though the list is where they are looked for too.
    @Test func theBuiltInNetworkFollowsIt() async throws {
        let network: @Sendable (Daemon.Names) throws -> String = {
            let file = try $0.scratch.file("cni/10-own.conflist", Self.conflist($0))
            return """
                conflist = "\(file)"
                cni_config_directory = "\(file.removingLastComponent())"
                cni_plugin_directories = ["/nonexistent"]
                """
        }
        try await Daemon.with(network: network) { daemon in
            let config = daemon.podConfiguration("own")
            let pod = try await daemon.runPod(config)
            let container = try await daemon.startContainer(
                daemon.containerConfiguration("main", ["/bin/sleep", "1000"]), in: pod, config)
            let status = try await daemon.runtime {
                try await $0.podSandboxStatus(.with { $0.podSandboxID = pod }).status
            }
            #expect(try IPAddressPrefix(daemon.subnet).contains(IPAddress(status.network.ip)))
            let routes = try await daemon.exec(container, ["ip", "route"])
            #expect(String(decoding: routes.stdout, as: UTF8.self).hasPrefix("default via "))
            #expect(Files.exists(FilePath("/sys/class/net/\(daemon.mark)/bridge")))
            let node = try await daemon.runtime { try await $0.status(.with { $0.verbose = true }) }
            #expect(!node.status.conditions.contains { !$0.status })
            #expect(node.info["config"]?.contains("\"builtin own\"") == true, "\(node.info)")
            try await daemon.removePod(pod)
        }
    }

    @Test(arguments: [
        (
            "{\"name\": \"x\", \"plugins\": [{\"type\": \"macvlan\"}]}", "",
            "is not built in (bridge, portmap and loopback are)"
        ),
        ("{}", "subnets = [\"10.0.0.0/24\"]\nbridge = \"b\"", "says bridge, subnets and mtu already"),
        (nil, "", "could not read network.conflist"),
    ])
    func whatItCannotFollowIsSaid(_ text: String?, _ keys: String, _ problem: String) async throws {
        let scratch = try ScratchDirectory("conflist")
        let file = scratch.appending("own.conflist")
        if let text { try scratch.file("own.conflist", text) }
        let config = try scratch.file("config.toml", "[network]\nconflist = \"\(file)\"\n\(keys)\n")
        let output = try await Program.ours("berthd").run("config", "check", config.string)
        #expect(output.code != 0)
        #expect((output.standardError + output.standardOutput).contains(problem), "\(output)")
        #expect(output.standardError.contains(file.string), "\(output)")
    }
}
