internal import ArgumentParser
internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import OCISpec
internal import SystemPackage

struct Specification: Verb {
    static let configuration = CommandConfiguration(
        commandName: "spec", abstract: "Writes a config.json to start from.",
        discussion: """
            It runs a shell in a terminal on the directory rootfs.

              mkdir -p /tmp/box/rootfs/bin && cp /bin/busybox /tmp/box/rootfs/bin/sh
              berth-oci spec --bundle /tmp/box && berth-oci run --bundle /tmp/box mybox
            """)

    @Option(name: [.customShort("b"), .long], help: "Directory of the bundle.")
    var bundle = "."

    @Flag(help: "For a user other than root.")
    var rootless = false

    func perform(_ globals: GlobalOptions) throws {
        let file = GlobalOptions.absolute(bundle).appending("config.json")
        if Files.exists(file) { throw BerthError(.alreadyExists, "File config.json exists. Remove it first") }
        let unified = (try? CgroupHost.detect())?.layout == .unified
        var spec = DefaultProfile.specification(rootless: rootless, unifiedCgroups: unified)
        if rootless {
            spec.linux?.uidMappings = [.init(containerID: 0, hostID: Syscall.effectiveUserID, size: 1)]
            spec.linux?.gidMappings = [.init(containerID: 0, hostID: Syscall.effectiveGroupID, size: 1)]
        }
        do {
            try Files.writeAtomically(
                file, try StrictJSON.encode(spec, pretty: true, sorted: false), mode: 0o666 & ~0o022)
        } catch let error as Errno {
            throw BerthError(.internal, "write \(file)", cause: error)
        }
    }
}
