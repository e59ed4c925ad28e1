internal import GRDB

/// The tables, as a list of steps that are never edited once released: a change is a new step.
enum Schema {
    static func migrator() -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 namespaces, images, content, snapshots, leases, pods, containers") {
            try $0.execute(sql: version1)
        }
        return migrator
    }

    /// Times are nanoseconds since 1970; labels are a JSON object of strings.
    private static let version1 = """
        CREATE TABLE namespace (
            name TEXT PRIMARY KEY NOT NULL,
            labels TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE image (
            namespace TEXT NOT NULL REFERENCES namespace(name),
            name TEXT NOT NULL,
            targetMediaType TEXT NOT NULL,
            targetDigest TEXT NOT NULL,
            targetSize INTEGER NOT NULL,
            targetAnnotations TEXT NOT NULL,
            labels TEXT NOT NULL,
            createdAt INTEGER NOT NULL,
            updatedAt INTEGER NOT NULL,
            PRIMARY KEY (namespace, name)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX imageByTarget ON image (targetDigest);

        CREATE TABLE content (
            namespace TEXT NOT NULL REFERENCES namespace(name),
            digest TEXT NOT NULL,
            size INTEGER NOT NULL,
            labels TEXT NOT NULL,
            createdAt INTEGER NOT NULL,
            updatedAt INTEGER NOT NULL,
            PRIMARY KEY (namespace, digest)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX contentByDigest ON content (digest);

        CREATE TABLE snapshot (
            id INTEGER PRIMARY KEY NOT NULL,
            namespace TEXT NOT NULL REFERENCES namespace(name),
            snapshotter TEXT NOT NULL,
            key TEXT NOT NULL,
            parent TEXT,
            kind TEXT NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
            labels TEXT NOT NULL,
            size INTEGER NOT NULL,
            inodes INTEGER NOT NULL,
            createdAt INTEGER NOT NULL,
            updatedAt INTEGER NOT NULL,
            UNIQUE (namespace, snapshotter, key)
        ) STRICT;
        CREATE INDEX snapshotByParent ON snapshot (namespace, snapshotter, parent);

        CREATE TABLE counter (
            name TEXT PRIMARY KEY NOT NULL,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE lease (
            namespace TEXT NOT NULL REFERENCES namespace(name),
            id TEXT NOT NULL,
            labels TEXT NOT NULL,
            createdAt INTEGER NOT NULL,
            PRIMARY KEY (namespace, id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE leaseResource (
            namespace TEXT NOT NULL,
            lease TEXT NOT NULL,
            type TEXT NOT NULL,
            id TEXT NOT NULL,
            PRIMARY KEY (namespace, lease, type, id),
            FOREIGN KEY (namespace, lease) REFERENCES lease(namespace, id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE pod (
            id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL UNIQUE,
            createdAt INTEGER NOT NULL,
            version INTEGER NOT NULL,
            payload BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE container (
            id TEXT PRIMARY KEY NOT NULL,
            podID TEXT NOT NULL,
            name TEXT NOT NULL UNIQUE,
            createdAt INTEGER NOT NULL,
            version INTEGER NOT NULL,
            payload BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX containerByPod ON container (podID);
        """
}
