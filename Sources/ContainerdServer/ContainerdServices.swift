public import Engine
public import GRPCCore

/// containerd's v1 services over the image side of the engine, so that `ctr` and its like work on the same socket.
public enum ContainerdServices {
    /// What Version answers as revision.
    static let revision = "berth"

    /// To be registered on the server, together with ``interceptors()``.
    ///
    /// - Parameter version: of the daemon.
    public static func all(images: ImageService, version: String) -> [any RegistrableRPCService] {
        [
            VersionServer(version: version), NamespaceServer(namespaces: images.namespaces),
            ContentServer(content: images.content), ImageServer(images: images),
            SnapshotServer(snapshots: images.snapshots), DiffServer(diff: images.diff),
            LeaseServer(leases: images.leases), EventServer(events: images.events), IntrospectionServer(images: images),
            HealthServer(),
        ]
    }

    /// Leave the calls of other services on the same server alone.
    public static func interceptors() -> [any ServerInterceptor] {
        [ContainerdCalls()]
    }
}
