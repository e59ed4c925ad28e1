internal import Store
internal import Synchronization

/// The names of images as they were last read. Each container and each look at an image's status asks for all of them, and
/// they change when an image comes or goes.
final class RememberedNames: Sendable {
    struct Names: Sendable {
        /// By name.
        let all: [NamedImage]
        private let places: [String: Int]

        init(_ all: [NamedImage]) {
            self.all = all
            places = Dictionary(all.indices.map { (all[$0].name, $0) }) { first, _ in first }
        }

        subscript(name: String) -> NamedImage? { places[name].map { all[$0] } }
    }

    /// A client may make any number of namespaces.
    private static let namespaceLimit = 16

    private let database: Database
    private let known = Mutex<[String: (version: Int, names: Names)]>([:])

    init(database: Database) {
        self.database = database
    }

    func names(of namespace: String) async throws -> Names {
        // Before they are read: a change that comes meanwhile is seen the next time.
        let version = database.imagesVersion
        if let entry = known.withLock({ $0[namespace] }), entry.version == version { return entry.names }
        let names = Names(try await database.read { try $0.images(namespace: namespace).map(NamedImage.init) })
        known.withLock {
            if $0[namespace] == nil, $0.count >= Self.namespaceLimit { $0 = [:] }
            $0[namespace] = (version, names)
        }
        return names
    }
}
