public import SystemPackage

/// An image of two layers with busybox, made by umoci; the second layer removes a file of the first.
public struct ImageFixture: Sendable {
    /// An OCI layout with the reference `v1`.
    public let layout: String
    /// The same as a tar archive.
    public let archive: String

    public init(below directory: FilePath) async throws {
        let folder = directory.appending("fixture").string
        layout = "\(folder)/layout"
        archive = "\(folder)/oci.tar"
        let script = """
            set -e
            mkdir -p \(folder) && cd \(folder)
            umoci init --layout layout
            umoci new --image layout:v1
            umoci unpack --image layout:v1 bundle
            mkdir -p bundle/rootfs/bin bundle/rootfs/etc
            cp /bin/busybox bundle/rootfs/bin/busybox
            ln -s busybox bundle/rootfs/bin/sh
            echo one > bundle/rootfs/etc/first
            echo kept > bundle/rootfs/etc/kept
            umoci repack --image layout:v1 bundle
            rm -rf bundle
            umoci unpack --image layout:v1 bundle
            rm bundle/rootfs/etc/first
            echo two > bundle/rootfs/etc/second
            umoci repack --image layout:v1 bundle
            umoci config --image layout:v1 --config.cmd /bin/sh --config.env PATH=/bin --architecture amd64
            umoci gc --layout layout
            rm -rf bundle
            tar -C layout -cf oci.tar .
            """
        try await Command.run("sh", ["-c", script])
    }
}
