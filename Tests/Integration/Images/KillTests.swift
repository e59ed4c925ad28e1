internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// The daemon dies at every step of pull, unpack, commit, remove and collection, once as a process and once as a machine
/// that loses power; the next one finds a store in which everything is whole, and does the same again to its end.
@Suite("Death at every failpoint", .serialized) struct KillTests {
    /// All that a store does, as one shell script; it ends with an error where the daemon dies.
    private static let scenario = """
        set -e
        crictl() { "$BIN/berth-crictl" -r "unix://$SOCKET" -i "unix://$SOCKET" "$@"; }
        c() { ctr -a "$SOCKET" -n k8s.io "$@"; }
        crictl pull "$IMAGE"
        top=$(c snapshots ls | awk '/Committed/ { key = $1 } END { print key }')
        c snapshots prepare work "$top" > /dev/null
        c snapshots commit made work
        c snapshots prepare over made > /dev/null
        c snapshots rm over
        c snapshots rm made
        crictl rmi "$IMAGE"
        """

    /// Every row has its bytes, every byte its row; no name of anything half made.
    private static let audit = """
        import os, sqlite3, sys, hashlib
        root = sys.argv[1]
        db = sqlite3.connect(root + "/meta.db")
        problems = []
        blobs = set()
        for algorithm in ("sha256", "sha512"):
            folder = root + "/content/blobs/" + algorithm
            for name in os.listdir(folder):
                data = open(folder + "/" + name, "rb").read()
                if hashlib.new(algorithm, data).hexdigest() != name: problems.append("damaged " + name)
                blobs.add(algorithm + ":" + name)
        for digest, size in db.execute("SELECT digest, size FROM content"):
            if digest not in blobs: problems.append("row without blob " + digest)
        known = {digest for digest, in db.execute("SELECT digest FROM content")}
        problems += ["blob without row " + blob for blob in blobs - known]
        directories = set(os.listdir(root + "/snapshots"))
        rows = {str(id): (key, parent) for id, key, parent in db.execute("SELECT id, key, parent FROM snapshot")}
        problems += ["directory without row " + name for name in directories - set(rows)]
        problems += ["row without directory " + str(rows[id]) for id in set(rows) - directories]
        problems += ["tombstone " + id for id, (key, _) in rows.items() if key.startswith("\\x01")]
        keys = {key for key, _ in rows.values()}
        problems += ["no parent " + parent for _, parent in rows.values() if parent and parent not in keys]
        for id in rows:
            if not os.path.isdir(root + "/snapshots/" + id + "/fs"): problems.append("no tree in " + id)
        if os.path.exists(root + "/content/quarantine"): problems.append("quarantine")
        if sys.argv[2:] == ["empty"]:
            problems += ["left " + name for name in sorted(blobs | directories)]
        print("\\n".join(problems), end="")
        """

    private static func run(_ daemon: StoreDaemon, _ image: String) async throws -> Program.Output {
        try await Program.system("bash", "-c", scenario).run(
            environment: [
                "BIN": Program.folder.string, "SOCKET": daemon.socket.string, "IMAGE": image,
            ])
    }

    private static func problems(_ root: FilePath, _ more: String...) async throws -> String {
        try await Program.system("python3", "-c", audit, root.string).run(more).standardOutput
    }

    /// The names in the sources, so that none is added without being tried.
    private static func failpoints() async throws -> Set<String> {
        let sources = Program.checkout.appending("Sources")
        let found = try await Program.system("grep", "-rhoE", "Failpoint\\.reach\\(\"[a-z.]+\"\\)").check(
            sources.string)
        let areas = ["content", "gc", "image", "pull", "snapshot", "unpack"]
        return Set(
            found.lines.compactMap { line in
                line.split(separator: "\"").dropFirst().first.map(String.init)
            }.filter { name in areas.contains { name.hasPrefix("\($0).") } })
    }

    @Test func whateverItWasDoingNothingHalfMadeIsLeft() async throws {
        let scratch = try ScratchDirectory("kill")
        let fixture = try await ImageFixture(below: scratch.path)
        let registry = try await TestRegistry(below: scratch.path)
        defer { registry.stop() }
        try await registry.push(fixture, as: "box:v1")
        let image = "127.0.0.1:\(registry.port)/box:v1"

        // The scenario passes all of them.
        let reached = scratch.appending("reached")
        let whole = StoreDaemon(scratch, root: scratch.appending("whole"))
        try await whole.start(failpoints: "list:\(reached)")
        let output = try await Self.run(whole, image)
        try #require(output.code == 0, "\(output)")
        try await whole.stop()
        #expect(try await Self.problems(whole.root, "empty") == "")
        let points = try await Self.failpoints()
        let names = Set(try Files.readText(reached).split(separator: "\n").map(String.init))
        #expect(points.subtracting(names).sorted() == [], "failpoints that the scenario does not reach")
        #expect(points.count > 20)
        let tried = points.intersection(names).sorted()

        for point in tried {
            let disk = try await SmallDisk(scratch, point)
            defer { disk.remove() }
            let daemon = StoreDaemon(scratch, root: disk.mountPoint.appending("root"))
            try await daemon.start(failpoints: "\(point)=kill")
            #expect(try await Self.run(daemon, image).code != 0, "\(point) did not end the scenario")
            try await daemon.died()
            // What the disk has now is what a machine without power would find on it.
            let lost = try await disk.copyAsAfterPowerLoss()
            defer { lost.remove() }
            async let killed: Void = Self.goOn(daemon.root, image, "\(point), killed")
            async let powerless: Void = Self.goOn(lost.mountPoint.appending("root"), image, "\(point), power lost")
            try await killed
            try await powerless
        }
    }

    /// The next daemon finds everything whole, and the same work goes to its end.
    private static func goOn(_ root: FilePath, _ image: String, _ what: String) async throws {
        let next = StoreDaemon(try ScratchDirectory("next"), root: root)
        try await next.start()
        #expect(try await problems(root) == "", "\(what)")
        for key in ["over", "made", "work"] { _ = try await next.ctr.run("snapshots", "rm", key) }
        let again = try await run(next, image)
        #expect(again.code == 0, "\(what): \(again)")
        try await next.stop()
        #expect(try await problems(root, "empty") == "", "\(what)")
    }
}
