internal import ArgumentParser
internal import Core
internal import LinuxKernel
internal import OCIRuntime
internal import SystemPackage

struct Processes: Verb {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "Lists the processes of a container.",
        discussion: "  berth-oci ps mybox -o pid,comm")

    @Option(name: [.customShort("f"), .long], help: "table or json.")
    var format = "table"

    @Argument(help: "ID of the container.")
    var id: String

    @Argument(parsing: .captureForPassthrough, help: "Options of ps(1); -ef if there are none.")
    var options: [String] = []

    func perform(_ globals: GlobalOptions) throws {
        let pids = try globals.runtime.container(id).cgroup.pids()
        switch format {
        case "json": try Output.json(pids, pretty: false)
        case "table": try table(Set(pids))
        default: throw BerthError(.invalidArgument, "invalid format option")
        }
    }

    private func table(_ pids: Set<Int32>) throws {
        let lines = try run(options.isEmpty ? ["-ef"] : options)
        guard let header = lines.first else { return }
        let columns = header.split(separator: " ")
        guard let column = columns.firstIndex(of: "PID") else {
            throw BerthError(.invalidArgument, "couldn't find PID field in ps output")
        }
        Output.line(String(header))
        for line in lines.dropFirst() {
            let fields = line.split(separator: " ")
            if fields.count > column, let pid = Int32(fields[column]), pids.contains(pid) { Output.line(String(line)) }
        }
    }

    private func run(_ arguments: [String]) throws -> [Substring] {
        let output = try Syscall.memfdCreate("berth-ps")
        let program = ["/bin/ps", "/usr/bin/ps"].first { Files.exists(FilePath($0)) }
        guard let program else { throw BerthError(.notFound, "ps is not installed") }
        let process = try Spawn.spawn(
            executable: FilePath(program), arguments: ["ps"] + arguments, environment: ["PATH=/usr/bin:/bin"],
            descriptors: [(output.fd, 1)])
        let status = try process.waitBlocking()
        guard status == .exited(0) else { throw BerthError(.failedPrecondition, "ps ended with status \(status.code)") }
        _ = try output.fd.seek(offset: 0, from: .start)
        return String(decoding: try Files.read(output.fd, limit: 64 << 20), as: UTF8.self).split(separator: "\n")
    }
}
