private import Foundation
internal import LinuxKernel
internal import SystemPackage

/// The CRIU that the tests use.
enum CRIU {
    static let program = ProcessInfo.processInfo.environment["BERTH_CRIU"] ?? "/usr/sbin/criu"

    static var isPossible: Bool {
        guard Syscall.effectiveUserID == 0, Files.exists(FilePath(program)),
            let check = try? Spawn.spawn(
                executable: FilePath("/bin/sh"), arguments: ["sh", "-c", "\(program) check > /dev/null 2>&1"],
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        else { return false }
        return (try? check.waitBlocking()) == .exited(0)
    }
}
