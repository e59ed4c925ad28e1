private import Core
private import Foundation

/// What `build-rootfs` asks of the program that it puts into an image.
enum Executable {
    /// - Throws: `BerthError` (`invalidArgument`) for what is no ELF program, or one that needs a dynamic linker, which the
    ///   image would not have.
    static func requireStatic(_ bytes: [UInt8], path: String) throws {
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]), bytes.count >= 64 else {
            throw BerthError(.invalidArgument, "\(path) is not an ELF program")
        }
        // ELF header: class at 4, byte order at 5; program headers at e_phoff, e_phentsize, e_phnum (elf(5)).
        let is64 = bytes[4] == 2
        let isLittle = bytes[5] == 1
        func number(_ offset: Int, _ count: Int) -> Int {
            guard offset >= 0, offset + count <= bytes.count else { return 0 }
            let field = bytes[offset..<offset + count]
            return (isLittle ? field.reversed() : Array(field)).reduce(0) { $0 << 8 | Int($1) & 0xFF } & Int(Int32.max)
        }
        let table = is64 ? number(32, 8) : number(28, 4)
        let size = is64 ? number(54, 2) : number(42, 2)
        let count = is64 ? number(56, 2) : number(44, 2)
        let interpreter = 3
        for index in 0..<count where number(table + index * size, 4) == interpreter {
            throw BerthError(
                .invalidArgument, "\(path) is linked dynamically",
                advice: "Debian's package busybox-static has one that is not")
        }
    }

    /// The lines that a program prints.
    static func lines(of path: String, _ arguments: [String]) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch {
            throw BerthError(.failedPrecondition, "run \(path): \(error.localizedDescription)")
        }
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BerthError(
                .failedPrecondition,
                "\(path) \(arguments.joined(separator: " ")) ended with \(process.terminationStatus)")
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
