internal import CRIAPI
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// What a kubelet relies on of CRI's image calls.
@Suite struct ImageCallTests {
    /// Images in a registry of the test's own: `one/box` with two tags, the same in `two/box`, `other/box`, and `many/box`, an
    /// index in which another platform's image comes first.
    private static let script = """
        set -e
        cd "$1"
        build() { "$2" image build-rootfs --busybox /bin/busybox --env "NAME=$1" --tag box:1 --output "$1.tar"; }
        build one "$3"
        build other "$3"
        copy() { skopeo copy -q --dest-tls-verify=false "$@"; }
        for name in one/box:1 one/box:2 two/box:1; do copy oci-archive:one.tar "docker://$2/$name"; done
        copy oci-archive:other.tar "docker://$2/other/box:1"
        skopeo copy -q oci-archive:other.tar oci:layout:v1
        python3 - <<'END'
        import hashlib, json, os
        def read(digest): return json.load(open("layout/blobs/" + digest.replace(":", "/")))
        def write(value):
            data = json.dumps(value).encode()
            digest = hashlib.sha256(data).hexdigest()
            open("layout/blobs/sha256/" + digest, "wb").write(data)
            return {"digest": "sha256:" + digest, "size": len(data)}
        index = json.load(open("layout/index.json"))
        mine = index["manifests"][0]
        manifest = read(mine["digest"])
        config = read(manifest["config"]["digest"])
        entries = []
        for number in range(3):
            config["architecture"] = "s390x"
            config["author"] = str(number)
            manifest["config"].update(write(config))
            entries.append({"mediaType": mine["mediaType"], **write(manifest), "platform": {"architecture": "s390x", "os": "linux"}})
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        entries.append({"mediaType": mine["mediaType"], "digest": mine["digest"], "size": mine["size"],
            "platform": {"architecture": architecture, "os": "linux"}})
        whole = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
        index["manifests"] = [{"mediaType": whole["mediaType"], **write(whole),
            "annotations": {"org.opencontainers.image.ref.name": "many"}}]
        json.dump(index, open("layout/index.json", "w"))
        END
        copy --all oci:layout:many "docker://$2/many/box:1"
        """

    @Test func anImageIsTheSameWhateverItIsCalledAndGoesWithAllItsNames() async throws {
        try await Daemon.with(image: false) { daemon in
            let registry = try await TestRegistry(below: daemon.scratch.path)
            defer { registry.stop() }
            let host = "127.0.0.1:\(registry.port)"
            try await Program.system("bash", "-c", Self.script, "images", daemon.scratch.path.string, host).check(
                Program.folder.appending("berth-ctr").string)

            // After a pull by tag.
            let one = "\(host)/one/box:1"
            let id = try await pull(daemon, one)
            let byTag = try #require(try await status(daemon, one))
            #expect(byTag.id == id)
            #expect(byTag.repoTags == [one])
            #expect(byTag.repoDigests.count == 1)
            let digest = try #require(byTag.repoDigests.first)
            #expect(digest.hasPrefix("\(host)/one/box@sha256:"))
            #expect(byTag.size > 0)
            for name in [id, digest] { #expect(try await status(daemon, name) == byTag, "\(name)") }

            // After a pull by digest.
            let other = try await pull(daemon, "\(host)/other/box:1")
            let otherDigest = try #require(try await status(daemon, other)?.repoDigests.first)
            try await remove(daemon, other)
            #expect(try await pull(daemon, otherDigest) == other)
            let byDigest = try #require(try await status(daemon, otherDigest))
            #expect(byDigest.repoTags == [])
            #expect(byDigest.repoDigests == [otherDigest])

            // Several tags and repositories of one content.
            for name in ["one/box:2", "two/box:1"] { #expect(try await pull(daemon, "\(host)/\(name)") == id) }
            let whole = try #require(try await status(daemon, id))
            #expect(whole.repoTags.sorted() == [one, "\(host)/one/box:2", "\(host)/two/box:1"])
            #expect(whole.repoDigests.count == 2)
            let all = try await daemon.images { try await $0.listImages(.init()).images }
            #expect(all.map(\.id).sorted() == [id, other].sorted())
            #expect(all.first { $0.id == id } == whole)

            // An index that lists other platforms first.
            #expect(try await pull(daemon, "\(host)/many/box:1") == other)
            #expect(try await status(daemon, other)?.repoTags == ["\(host)/many/box:1"])

            // Removal by ID takes every name; again, and of what never was, it is no error.
            try await remove(daemon, id)
            for name in whole.repoTags + whole.repoDigests + [id] {
                #expect(try await status(daemon, name) == nil, "\(name)")
            }
            try await remove(daemon, id)
            try await remove(daemon, "\(host)/never/box:1")

            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<5 { group.addTask { try await remove(daemon, "\(host)/many/box:1") } }
                try await group.waitForAll()
            }
            #expect(try await daemon.images { try await $0.listImages(.init()).images } == [])
        }
    }

    private func pull(_ daemon: Daemon, _ image: String) async throws -> String {
        try await daemon.images { try await $0.pullImage(.with { $0.image.image = image }).imageRef }
    }

    /// `nil` for the empty answer.
    private func status(_ daemon: Daemon, _ image: String) async throws -> Runtime_V1_Image? {
        let answer = try await daemon.images { try await $0.imageStatus(.with { $0.image.image = image }) }
        return answer.hasImage ? answer.image : nil
    }

    private func remove(_ daemon: Daemon, _ image: String) async throws {
        _ = try await daemon.images { try await $0.removeImage(.with { $0.image.image = image }) }
    }
}
