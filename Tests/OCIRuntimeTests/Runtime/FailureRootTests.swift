internal import Core
internal import LinuxKernel
@testable internal import OCIRuntime
internal import OCISpec
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Each failure gives one clear error and leaves the host as it was.
@Suite(.enabled(if: RuntimeScene.isPossible, "needs root, busybox-static and bin/berth-launch")) struct FailureRootTests
{
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let words: String
        let change: @Sendable (inout RuntimeSpec, RuntimeScene) throws -> Void
        var testDescription: String { name }
    }

    @Test(arguments: [
        Case(name: "a rootfs that is missing", words: "open the root") { spec, _ in spec.root?.path = "nowhere" },
        Case(name: "a program that is missing", words: "no such file or directory") { spec, _ in
            spec.process?.args = ["/no/such/program"]
        },
        Case(name: "a bind source that is missing", words: "/no/such/source") { spec, _ in
            spec.mounts?.append(.init(destination: "/x", type: "bind", source: "/no/such/source", options: ["bind"]))
        },
        Case(name: "a filesystem that is unknown", words: "mount nosuchfs at /x") { spec, _ in
            spec.mounts?.append(.init(destination: "/x", type: "nosuchfs", source: "x"))
        },
        Case(name: "a limit that the kernel refuses", words: "set cpu") { spec, _ in
            spec.linux?.resources = .init()
            spec.linux?.resources?.cpu = .init()
            spec.linux?.resources?.cpu?.quota = 5
            spec.linux?.resources?.cpu?.period = 3
        },
        Case(name: "a namespace file that is missing", words: "/no/such/ns") { spec, _ in
            spec.linux?.namespaces = [.init(type: "mount"), .init(type: "network", path: "/no/such/ns")]
            spec.hostname = nil
        },
        Case(name: "a hook that fails", words: "broken on purpose") { spec, scene in
            let script = try scene.scratch.file("hook", "#!/bin/sh\necho broken on purpose >&2; exit 5\n", mode: 0o755)
            spec.hooks = .init()
            spec.hooks?.createRuntime = [.init(path: script.string)]
        },
        Case(name: "a sysctl that does not exist", words: "no/such/thing") { spec, _ in
            spec.linux?.sysctl = ["net.no.such.thing": "1"]
        },
        Case(name: "a specification that is invalid", words: "process.cwd") { spec, _ in spec.process?.cwd = "x" },
        Case(name: "a mount target that is a loop", words: "mountpoint /loop/x") { spec, scene in
            try? Syscall.symlinkat(target: "loop", scene.bundle.pushing("rootfs/loop"))
            spec.mounts?.append(.init(destination: "/loop/x", type: "tmpfs", source: "x"))
        },
    ])
    func aFailedCreateLeavesNothing(_ failure: Case) throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("true")
        try failure.change(&spec, scene)
        try scene.write(spec)
        // Mountpoints that a create makes in the rootfs stay, as with every runtime: a first one makes them.
        _ = try? scene.runtime.create(id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        let before = try scene.snapshot()
        let error = #expect(throws: BerthError.self) {
            try scene.runtime.create(id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        }
        #expect(error?.description.contains(failure.words) == true, "\(error?.description ?? "")")
        #expect(try scene.snapshot().added(since: before) == [])
        #expect(try scene.runtime.containers().isEmpty)
        #expect(!Cgroup(host: try CgroupHost.detect(), path: "/\(scene.mark)/box").exists)
    }

    /// The lifecycle of the specification goes on at its end: they remove what the other hooks made.
    @Test func poststopHooksRunAlsoAfterAHookThatFailed() throws {
        let scene = try RuntimeScene()
        let told = scene.scratch.appending("told")
        var spec = try scene.specification("true")
        spec.hooks = .init()
        spec.hooks?.createRuntime = [.init(path: "/bin/sh", args: ["sh", "-c", "exit 5"])]
        spec.hooks?.poststop = [.init(path: "/bin/sh", args: ["sh", "-c", "cat > \(told)"])]
        try scene.write(spec)
        #expect(throws: BerthError.self) {
            try scene.runtime.create(id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        }
        #expect(try Files.readText(told).contains("\"status\":\"stopped\""))
    }

    @Test func aPoststartHookThatFailsEndsTheContainer() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("exec sleep 1000")
        spec.hooks = .init()
        spec.hooks?.poststart = [.init(path: "/bin/sh", args: ["sh", "-c", "exit 5"])]
        try scene.write(spec)
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        #expect(throws: BerthError.self) { try scene.runtime.start(container) }
        #expect(try scene.wait(process) == .signalled(9))
        try scene.runtime.delete(container, force: false)
    }

    /// Where the root is a mount of its own that the host shares with others. pivot_root(2) refused it before.
    @Test func aSharedRootIsNoneOfTheHostsPeers() throws {
        let scene = try RuntimeScene()
        let rootfs = scene.bundle.appending("rootfs")
        try Syscall.mount(source: rootfs.string, target: rootfs, type: nil, flags: .bind)
        try Syscall.mount(source: nil, target: rootfs, type: nil, flags: .shared)
        var spec = try scene.specification("grep ' / rw.* shared:' /proc/self/mountinfo")
        spec.linux?.rootfsPropagation = "shared"
        try scene.write(spec)
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: true, options: RunOptions())
        let outside = MountTable.below(rootfs, in: try MountTable.read())
        #expect(outside.count == 1, "\(outside)")
        try scene.runtime.start(container)
        #expect(try scene.wait(process) == .exited(0))
        #expect(scene.output.contains("shared:"))
        try scene.runtime.delete(container, force: true)
    }

    @Test func aLinkInTheRootfsDoesNotLeadAMountToTheHost() throws {
        let scene = try RuntimeScene()
        let victim = try scene.scratch.directory("victim")
        // The same path inside the root is where the link leads to.
        try Files.makeDirectories(scene.bundle.pushing("rootfs").pushing(FilePath(root: nil, victim.components)))
        try Syscall.symlinkat(target: victim.string, scene.bundle.pushing("rootfs/link"))
        var spec = try scene.specification("ls -d \(victim)/sub && echo inside")
        spec.mounts?.append(.init(destination: "/link/sub", type: "tmpfs", source: "x"))
        #expect(try scene.run(spec) == .exited(0))
        #expect(try Files.list(victim).isEmpty)
        #expect(scene.output.contains("inside"))
    }

    @Test func aRecycledPIDIsNotTheContainer() throws {
        let scene = try RuntimeScene()
        try scene.write(scene.specification("while :; do sleep 0.05; done"))
        let (container, process) = try scene.runtime.create(
            id: "box", bundle: scene.bundle, waiting: false, options: RunOptions())
        var stored = container.stored
        stored.startTime += 1
        try Files.writeAtomically(container.directory.appending("state.json"), StrictJSON.text(stored.json))
        let other = try scene.runtime.container("box")
        #expect(other.status() == .stopped)
        #expect(throws: BerthError.self) { try scene.runtime.kill(other, signal: 9, all: false) }
        #expect(container.status() == .running)
        try scene.runtime.delete(container, force: true)
        _ = try scene.wait(process)
    }

    @Test func leftoversOfAKilledCreateAreDeletedByForce() throws {
        let scene = try RuntimeScene()
        try scene.write(scene.specification("true"))
        let directory = try scene.scratch.directory("state/half")
        try Files.writeAtomically(
            directory.appending("config.json"), try Files.read(scene.bundle.appending("config.json"), limit: 1 << 20))
        let cgroup = Cgroup(host: try CgroupHost.detect(), path: "/\(scene.mark)/box")
        try cgroup.create()
        #expect(throws: BerthError.self) { try scene.runtime.container("half") }
        #expect(try scene.runtime.deleteLeftovers("half"))
        #expect(!cgroup.exists)
        #expect(try !scene.runtime.deleteLeftovers("half"))
    }
}
