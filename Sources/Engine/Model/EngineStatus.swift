/// What Berth is, to its clients.
public enum Release {
    public static let version = "0.1.0"
}

/// Whether the engine can run pods, in the words of CRI's Status.
public struct EngineStatus: Sendable {
    public struct Condition: Sendable, Equatable {
        /// `RuntimeReady` or `NetworkReady`.
        public var type: String
        public var isMet: Bool
        public var reason: String
        public var message: String
    }

    public struct Handler: Sendable, Equatable {
        public var name: String
        public var recursiveReadonlyMounts: Bool
        public var userNamespaces: Bool
    }

    public var conditions: [Condition]
    public var handlers: [Handler]
    /// JSON documents by name, for people.
    public var information: [String: String]
}
