internal import Foundation
internal import LinuxKernel
internal import OCIRuntime
internal import Synchronization
internal import SystemPackage
internal import Testing

@Suite(.enabled(if: RuntimeScene.isPossible, "needs root, busybox-static and bin/berth-launch"))
struct SwappedTargetRootTests {
    /// CVE-2021-30465: while a container is made, another one that shares its files swaps the target of a mount for a link
    /// that leads out of the root.
    @Test func aTargetThatIsSwappedMeanwhileLeadsNowhereElse() throws {
        let scene = try RuntimeScene()
        var spec = try scene.specification("true")
        let shared = try scene.scratch.directory("bundle/rootfs/shared")
        let target = try scene.scratch.directory("bundle/rootfs/shared/target")
        let victim = try scene.scratch.directory("victim")
        let source = try scene.scratch.directory("source")
        try Syscall.symlinkat(target: victim.string, shared.appending("link"))
        spec.mounts?.append(
            .init(destination: "/shared/target/below", type: "bind", source: source.string, options: ["bind"]))
        spec.mounts?.append(.init(destination: "/shared/target/new", type: "tmpfs", source: "tmpfs"))
        let swapper = Swapper(target, shared.appending("link"))
        defer { swapper.stop() }
        var made = 0
        for _ in 0..<30 {
            // It may be refused; nothing may be made outside.
            if (try? scene.run(spec)) != nil { made += 1 }
            #expect(try Files.list(victim).isEmpty)
        }
        // The race is one: some came through.
        #expect(made > 0)
    }
}

/// Puts one path in the place of another and takes it away again, as fast as it goes.
private final class Swapper: Sendable {
    private let stopped = Mutex(false)
    private let done = DispatchSemaphore(value: 0)

    init(_ one: FilePath, _ other: FilePath) {
        Thread.detachNewThread { [self] in
            while !stopped.withLock({ $0 }) {
                rename(one.string, one.string + ".kept")
                rename(other.string, one.string)
                rename(one.string, other.string)
                rename(one.string + ".kept", one.string)
            }
            done.signal()
        }
    }

    func stop() {
        stopped.withLock { $0 = true }
        done.wait()
    }
}
