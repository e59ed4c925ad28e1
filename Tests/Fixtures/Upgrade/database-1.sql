-- The metadata database of release 0.1 (schema 1, records 1): a pod in the host's namespaces, its running container and
-- their image. Never edited: the reader of an older version is tested with it.
BEGIN TRANSACTION;
CREATE TABLE container (
    id TEXT PRIMARY KEY NOT NULL,
    podID TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    createdAt INTEGER NOT NULL,
    version INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "container" VALUES('1aa36b8cae61683d3ff1d8a8b1533a964d206dd5122aed4513fc41bd355e5998','c96aca36a072b152e095b6c65225886a3b56cb322a3401efa101bb66b5b70c46','main_0_c96aca36a072b152e095b6c65225886a3b56cb322a3401efa101bb66b5b70c46',1795794596142164871,1,CAST('{"cgroup":"/berth-old/1aa36b8cae61683d3ff1d8a8b1533a964d206dd5122aed4513fc41bd355e5998","config":{"annotations":{},"arguments":[],"cdiDevices":[],"command":["/bin/sleep","3600"],"devices":[],"environment":[],"image":{"annotations":{},"image":"docker.io/library/busybox:old","runtimeHandler":"","userSpecifiedImage":"docker.io/library/busybox:old"},"labels":{},"logPath":"","metadata":{"attempt":0,"name":"main"},"mounts":[],"security":{"addAmbientCapabilities":[],"addCapabilities":[],"dropCapabilities":[],"maskedPaths":[],"namespaces":{"ipc":"node","network":"node","pid":"container","targetID":""},"noNewPrivileges":false,"privileged":false,"readonlyPaths":[],"readonlyRootfs":false,"runAsUsername":"","supplementalGroups":[],"supplementalGroupsPolicy":"merge"},"stdin":false,"stdinOnce":false,"terminal":false,"workingDirectory":""},"createdAt":1795794596142164871,"id":"1aa36b8cae61683d3ff1d8a8b1533a964d206dd5122aed4513fc41bd355e5998","imageID":"sha256:0f8112400194f380c50645db137d46170ecb1c6ed82416f09e43d32f5673834b","imageReference":"sha256:0f8112400194f380c50645db137d46170ecb1c6ed82416f09e43d32f5673834b","logPath":"","monitor":{"pid":5893,"startTime":367030},"podID":"c96aca36a072b152e095b6c65225886a3b56cb322a3401efa101bb66b5b70c46","podMetadata":{"attempt":0,"name":"old","namespace":"default","uid":"uid-old"},"process":{"pid":5894,"startTime":367031},"resources":{"cpuPeriod":0,"cpuQuota":0,"cpuShares":0,"cpusetCPUs":"","cpusetMemories":"","hugepageLimits":[],"memoryLimit":0,"memorySwapLimit":0,"oomScoreAdjustment":0,"unified":{}},"state":{"running":{"startedAt":1795794598303456004}},"stopSignal":15,"user":{"additionalGIDs":[0],"gid":0,"uid":0},"warnings":[]}' AS BLOB));
CREATE TABLE content (
    namespace TEXT NOT NULL REFERENCES namespace(name),
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    labels TEXT NOT NULL,
    createdAt INTEGER NOT NULL,
    updatedAt INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO "content" VALUES('k8s.io','sha256:0f8112400194f380c50645db137d46170ecb1c6ed82416f09e43d32f5673834b',284,'{"containerd.io\/gc.ref.snapshot.overlayfs":"sha256:6b3ed4b5ff9a166088766b99f66a7d20ef4070d1ca067e7186dcc15aaadef495"}',1795794592473298615,1795794594810619892);
INSERT INTO "content" VALUES('k8s.io','sha256:6b3ed4b5ff9a166088766b99f66a7d20ef4070d1ca067e7186dcc15aaadef495',2129920,'{"containerd.io\/uncompressed":"sha256:6b3ed4b5ff9a166088766b99f66a7d20ef4070d1ca067e7186dcc15aaadef495"}',1795794592572507341,1795794594795677889);
INSERT INTO "content" VALUES('k8s.io','sha256:7abdc4b26265bf391e01f042639a8a7617af6a3c13699e46d1887a27f7f458bf',400,'{"containerd.io\/gc.ref.content.config":"sha256:0f8112400194f380c50645db137d46170ecb1c6ed82416f09e43d32f5673834b","containerd.io\/gc.ref.content.l.0":"sha256:6b3ed4b5ff9a166088766b99f66a7d20ef4070d1ca067e7186dcc15aaadef495"}',1795794592709965819,1795794592709965819);
CREATE TABLE counter (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counter" VALUES('snapshot',2);
CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
INSERT INTO "grdb_migrations" VALUES('1 namespaces, images, content, snapshots, leases, pods, containers');
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
INSERT INTO "image" VALUES('k8s.io','docker.io/library/busybox:old','application/vnd.oci.image.manifest.v1+json','sha256:7abdc4b26265bf391e01f042639a8a7617af6a3c13699e46d1887a27f7f458bf',400,'{}','{}',1795794592734576333,1795794592734576333);
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
CREATE TABLE namespace (
    name TEXT PRIMARY KEY NOT NULL,
    labels TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "namespace" VALUES('k8s.io','{}');
CREATE TABLE pod (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    createdAt INTEGER NOT NULL,
    version INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "pod" VALUES('c96aca36a072b152e095b6c65225886a3b56cb322a3401efa101bb66b5b70c46','old_default_uid-old_0',1795794595518311026,1,CAST('{"cgroup":"/berth-old","config":{"annotations":{},"cgroupParent":"/berth-old","hostname":"","labels":{"app":"old"},"logDirectory":"","metadata":{"attempt":0,"name":"old","namespace":"default","uid":"uid-old"},"portMappings":[],"security":{"namespaces":{"ipc":"node","network":"node","pid":"container","targetID":""},"privileged":false,"readonlyRootfs":false,"supplementalGroups":[],"supplementalGroupsPolicy":"merge"},"sysctls":{}},"createdAt":1795794595518311026,"id":"c96aca36a072b152e095b6c65225886a3b56cb322a3401efa101bb66b5b70c46","ownsCgroup":true,"runtimeHandler":"","state":{"ready":{}}}' AS BLOB));
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
INSERT INTO "snapshot" VALUES(1,'k8s.io','overlayfs','sha256:6b3ed4b5ff9a166088766b99f66a7d20ef4070d1ca067e7186dcc15aaadef495',NULL,'committed','{}',2048000,285,1795794592909465617,1795794594670594151);
INSERT INTO "snapshot" VALUES(2,'k8s.io','overlayfs','1aa36b8cae61683d3ff1d8a8b1533a964d206dd5122aed4513fc41bd355e5998','sha256:6b3ed4b5ff9a166088766b99f66a7d20ef4070d1ca067e7186dcc15aaadef495','active','{}',0,0,1795794596190427466,1795794596190427466);
CREATE INDEX imageByTarget ON image (targetDigest);
CREATE INDEX contentByDigest ON content (digest);
CREATE INDEX snapshotByParent ON snapshot (namespace, snapshotter, parent);
CREATE INDEX containerByPod ON container (podID);
COMMIT;
