internal import LinuxKernel
internal import TestSupport
internal import Testing

@Suite struct CrictlTests {
    /// Asked for a runtime with -r, it went to the image service of the configuration file as well.
    @Test func namedRuntimeIsAskedForItsImagesToo() async throws {
        try await Daemon.with { daemon in
            let file = daemon.scratch.appending("crictl.yaml")
            let elsewhere = daemon.scratch.appending("absent.sock")
            try Files.writeAtomically(
                file, Array("runtime-endpoint: unix://\(elsewhere)\nimage-endpoint: unix://\(elsewhere)\n".utf8),
                mode: 0o644)
            let images = try await daemon.crictl.run("images", "-q", environment: ["CRI_CONFIG_FILE": file.string])
            #expect(images.code == 0, "\(images)")
            #expect(images.lines.count == 1)

            let other = try await Program.ours("berth-crictl", "-c", file.string).run("images", "-q")
            #expect(other.code == 1)
            #expect(other.standardError.contains("cannot connect to \(elsewhere)"))
        }
    }
}
