internal import Core
internal import LinuxKernel
internal import SystemPackage
internal import TestSupport

/// An ext4 filesystem in a file, on a loop device.
///
/// What is in the file is what has reached the disk: data that was not synced is still in the kernel's memory, since nothing
/// writes it out by itself within the test (`commit=`, no delayed-allocation rescue for renamed files).
struct SmallDisk {
    let mountPoint: FilePath
    private let file: FilePath
    private let scratch: ScratchDirectory

    init(_ scratch: ScratchDirectory, _ name: String) async throws {
        self.scratch = scratch
        file = scratch.appending("\(name).img")
        mountPoint = try scratch.directory("\(name).mnt")
        try await Program.system("truncate", "-s", "96M").check(file.string)
        try await Program.system("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum,64bit").check(file.string)
        try await mount()
    }

    private init(_ scratch: ScratchDirectory, file: FilePath, mountPoint: FilePath) {
        self.scratch = scratch
        self.file = file
        self.mountPoint = mountPoint
    }

    private func mount() async throws {
        let options = "loop,data=writeback,noauto_da_alloc,commit=600"
        try await Program.system("mount", "-o", options).check(file.string, mountPoint.string)
    }

    /// A disk with what this one has by now, its journal replayed as after a crash.
    func copyAsAfterPowerLoss() async throws -> SmallDisk {
        let copy = FilePath(file.string + ".lost")
        try await Program.system("cp", "--sparse=always").check(file.string, copy.string)
        let lost = SmallDisk(
            scratch, file: copy, mountPoint: try scratch.directory("\(mountPoint.lastComponent?.string ?? "").lost"))
        try await lost.mount()
        return lost
    }

    func remove() {
        try? Syscall.umount2(mountPoint, .detach)
        try? Files.removeTree(mountPoint)
        try? Syscall.unlinkat(file)
    }
}
