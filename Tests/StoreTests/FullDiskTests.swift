import Core
import Dispatch
import Glibc
import LinuxKernel
import Store
import SystemPackage
import TestSupport
import Testing

/// What frees space can be written down where there is none left.
@Suite("Database on a full disk", .serialized) struct FullDiskTests {
    /// A filesystem of 64 MiB, which `body` gets; it goes afterwards.
    private func withDisk(_ body: (FilePath) async throws -> Void) async throws {
        let scratch = try ScratchDirectory("full-store")
        let disk = try scratch.directory("disk")
        try Syscall.mount(source: "tmpfs", target: disk, type: "tmpfs", flags: [], data: "size=64m,mode=0700")
        defer { try? Syscall.umount2(disk, .detach) }
        try await body(disk)
    }

    /// Takes every block that is left.
    private func fill(_ disk: FilePath) throws {
        let file = try Syscall.open(disk.appending("ballast"), [.writeOnly, .create, .append], mode: 0o600)
        for size in [1 << 20, 4096] {
            let piece = [UInt8](repeating: 7, count: size)
            while (try? Files.writeAll(file.fd, piece)) != nil {}
        }
    }

    private func pod(_ number: Int, _ text: String = "x") -> PodRecord {
        PodRecord(
            id: "p\(number)", name: "n\(number)", createdAt: Int64(number), version: 1,
            payload: [UInt8](String(repeating: text, count: 1500).utf8))
    }

    @Test func whatIsThereChangesAndGoesAndNothingComes() async throws {
        try await withDisk { disk in
            let path = disk.appending("meta.db")
            let database = try Store.Database(path: path)
            for number in 0..<300 { try await database.put(pod(number)) }
            try fill(disk)
            let error = await #expect(throws: BerthError.self) { try await database.put(pod(1000)) }
            #expect(error?.code == .resourceExhausted, "\(String(describing: error))")
            // More than the log holds, so that it is begun again several times.
            for round in 0..<10 {
                for number in 0..<300 { try await database.put(pod(number, "\(round)"), .keeping) }
            }
            for number in 0..<200 { try await database.deletePod(id: "p\(number)") }
            #expect(try await database.pods().count == 100)

            // The next daemon finds the disk as full as this one left it.
            try database.close()
            try fill(disk)
            let next = try Store.Database(path: path)
            for number in 200..<300 { try await next.deletePod(id: "p\(number)") }
            #expect(try await next.pods() == [])
            await #expect(throws: BerthError.self) { try await next.put(pod(1000)) }

            try Syscall.unlinkat(disk.appending("ballast"))
            try await next.put(pod(1000))
            try next.close()
        }
    }

    /// One that was made on a full disk has no reserve, and takes it when there is room.
    @Test func theReserveIsTakenWhenThereIsRoom() async throws {
        try await withDisk { disk in
            let path = disk.appending("meta.db")
            let first = try Store.Database(path: path)
            try await first.put(pod(0))
            try first.close()
            try Syscall.unlinkat(FilePath("\(path)-wal"))
            try Syscall.unlinkat(FilePath("\(path)-shm"))
            try fill(disk)
            // Room for the log's beginning, and for no reserve.
            let file = try Syscall.open(disk.appending("ballast"), [.readWrite])
            try file.fd.resize(to: try Syscall.fstat(file.fd).size - (1 << 20))
            file.close()
            let database = try Store.Database(path: path)
            try await database.put(pod(1))
            #expect(try Syscall.stat(FilePath("\(path)-wal")).blocks < 4096)
            try Syscall.unlinkat(disk.appending("ballast"))
            try await database.put(pod(2))
            try await eventually("8 MiB in blocks of 512 bytes") {
                try Syscall.stat(FilePath("\(path)-wal")).blocks >= 16384
            }
            try fill(disk)
            for number in 0..<3 { try await database.deletePod(id: "p\(number)") }
            #expect(try await database.pods() == [])
            try database.close()
        }
    }

    /// Upkeep is a task as a rule, which may come late.
    @Test func theLogStaysWithinItsReserveWhileEveryThreadIsBusy() async throws {
        let scratch = try ScratchDirectory("log")
        let path = scratch.appending("meta.db")
        let database = try Store.Database(path: path)
        let done = DispatchSemaphore(value: 0)
        let threads = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        for _ in 0..<threads { Task.detached { Self.wait(done) } }
        try await withTaskExecutorPreference(OwnThread()) {
            // The way back from here is over the pool.
            defer { for _ in 0..<threads { done.signal() } }
            for number in 0..<5000 { try await database.put(pod(number % 300, "\(number)"), .keeping) }
        }
        #expect(try Syscall.stat(FilePath("\(path)-wal")).size <= 8 << 20)
        try database.close()
    }

    private static func wait(_ done: DispatchSemaphore) { _ = done.wait(timeout: .now() + 60) }

    private final class OwnThread: TaskExecutor {
        private let queue = DispatchQueue(label: "writer")

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }
}
