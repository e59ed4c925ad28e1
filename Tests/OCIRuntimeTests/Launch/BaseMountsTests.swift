internal import Core
internal import Glibc
internal import LaunchAPI
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage
internal import TestSupport
internal import Testing

/// Containers whose mount namespace begins as a copy of `BaseMounts`.
@Suite(.enabled(if: geteuid() == 0)) struct BaseMountsTests {
    private let scene: LaunchScene
    private let base: BaseMounts

    init() async throws {
        scene = try LaunchScene()
        base = try await BaseMounts(over: scene.scratch.path)
    }

    /// - Parameter before: steps of the child before it enters its root.
    private func plan(_ script: String, before: [LaunchScene.Step] = []) throws -> LaunchScene.Plan {
        var plan = scene.plan(script)
        for index in plan.steps.indices {
            switch plan.steps[index].action {
            case .clone: plan.steps[index].clone.flags &= ~UInt64(NamespaceTypes.mount.rawValue)
            case .openRoot: plan.steps[index].openRoot.baseMounts = base.path.string
            default: break
            }
        }
        let pivot = try #require(plan.steps.firstIndex { $0.words == "pivot" })
        plan.steps.insert(contentsOf: before, at: pivot)
        return plan
    }

    private func bind(_ source: FilePath, at target: String) -> LaunchScene.Step {
        scene.childStep("bind \(source) at \(target)") {
            $0.bindMount.source = source.string
            $0.bindMount.target = target
            $0.bindMount.recursive = true
            $0.bindMount.makeTarget = true
        }
    }

    @Test func `nothing is seen of the namespace on the host`() async throws {
        let folder = scene.scratch.path
        #expect(try Files.list(folder).contains("rootfs"))
        #expect(try !MountTable.read().contains { $0.target.hasPrefix(folder.string) })
    }

    @Test func `a container has its own mounts and none of the host's`() async throws {
        _ = try await scene.run(try plan("cat /proc/self/mountinfo"))
        let targets = try scene.log().compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 8 ? String(fields[6]) : nil
        }
        #expect(targets == ["/", "/proc", "/dev", "/dev/pts", "/proc/keys"])
    }

    @Test func `a program of the host is out of reach as soon as the root is open`() async throws {
        let hook = scene.childStep("run a hook") {
            $0.runHook.path = "/bin/true"
            $0.runHook.args = ["true"]
        }
        let error = await #expect(throws: BerthError.self) {
            _ = try await scene.launcher.launch(try plan("true", before: [hook]))
        }
        #expect(error?.description.contains("No such file or directory") == true, "\(error?.description ?? "")")
    }

    @Test func `what is bound is the host's, and what is mounted in it is not`() async throws {
        let shared = scene.scratch.path.appending("shared")
        try Files.makeDirectories(shared)
        try Syscall.mount(source: "tmpfs", target: shared, type: "tmpfs", flags: [])
        defer { try? Syscall.umount2(shared, .detach) }
        try Syscall.mount(source: nil, target: shared, type: nil, flags: .shared)
        for name in ["inner", "late"] { try Files.makeDirectories(shared.appending(name)) }
        let script = """
            busybox mount -t tmpfs inner /mnt/inner && echo mounted
            until test -e /tmp/go; do sleep 0.02; done
            cat /mnt/late/file
            """
        _ = try await scene.launcher.launch(try plan(script, before: [bind(shared, at: "/mnt")]))
        try await scene.client.start()
        try await eventually("the container's mount") { try scene.log() == ["stdout F mounted"] }
        let late = shared.appending("late")
        #expect(try !MountTable.read().contains { $0.target == shared.appending("inner").string })

        try Syscall.mount(source: "tmpfs", target: late, type: "tmpfs", flags: [])
        defer { try? Syscall.umount2(late, .detach) }
        try Files.writeAtomically(late.appending("file"), Array("from the host\n".utf8), mode: 0o644)
        try scene.tell("go")
        #expect(try await scene.end().exitCode == 0)
        #expect(try scene.log().last == "stdout F from the host")
    }

    @Test func `a source that is missing fails the step that binds it`() async throws {
        let missing = scene.scratch.path.appending("missing")
        let plan = try plan("true", before: [bind("/etc/hostname", at: "/etc/hostname"), bind(missing, at: "/mnt")])
        let at = try #require(plan.steps.firstIndex { $0.words == "bind \(missing) at /mnt" })
        let error = await #expect(throws: BerthError.self) { _ = try await scene.launcher.launch(plan) }
        #expect(error?.code == .notFound)
        #expect(error?.description.hasSuffix("(step \(at + 1) of \(plan.steps.count))") == true)
    }

    @Test func `the launcher itself does not leave the host's namespace`() async throws {
        var plan = try plan("true")
        let at = try #require(plan.steps.firstIndex { $0.words == "open root" })
        plan.steps[at].place = .host
        let error = await #expect(throws: BerthError.self) { _ = try await scene.launcher.launch(plan) }
        #expect(error?.description.contains("stays in the host's mount namespace") == true)
    }
}
