internal import Core
internal import LinuxKernel
internal import SystemPackage

/// `user:role:type:level`; a policy without levels has none.
struct SELinuxContext: Equatable, CustomStringConvertible {
    var user: String
    var role: String
    var type: String
    var level: String?

    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        (user, role, type) = (parts[0], parts[1], parts[2])
        level = parts.count > 3 ? parts[3] : nil
    }

    var description: String { ([user, role, type] + (level.map { [$0] } ?? [])).joined(separator: ":") }
}

/// What the host's SELinux policy says of containers: lxc_contexts(5), as every runtime reads it.
struct SELinuxPolicy: Sendable {
    let process: SELinuxContext
    let files: SELinuxContext

    /// Those of the policy that this host loads.
    ///
    /// - Returns: `nil` where its policy says nothing of containers.
    static func load(_ directory: FilePath = "/etc/selinux") -> SELinuxPolicy? {
        guard let configuration = try? Files.readText(directory.appending("config"), limit: 1 << 20),
            let name = settings(configuration)["SELINUXTYPE"], FilePath.Component(name) != nil,
            let text = try? Files.readText(
                directory.appending(name).appending("contexts/lxc_contexts"), limit: 1 << 20)
        else { return nil }
        return SELinuxPolicy(lxcContexts: text)
    }

    init?(lxcContexts text: String) {
        let settings = Self.settings(text)
        guard let process = settings["process"].flatMap({ SELinuxContext($0) }),
            let files = settings["file"].flatMap({ SELinuxContext($0) })
        else { return nil }
        self.process = process
        self.files = files
    }

    /// `NAME = "VALUE"`, with or without the quotes, one a line.
    private static func settings(_ text: String) -> [String: String] {
        var settings: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where line.first != "#" {
            let halves = line.split(separator: "=", maxSplits: 1)
            guard halves.count == 2 else { continue }
            func trimmed(_ text: Substring) -> String {
                String(text.drop { " \t\"".contains($0) }.reversed().drop { " \t\"".contains($0) }.reversed())
            }
            settings[trimmed(halves[0])] = trimmed(halves[1])
        }
        return settings
    }

    /// A level that no other pod has, so that the policy keeps them apart: the lowest sensitivity with two of its 1,024
    /// categories.
    ///
    /// - Returns: `nil` where the policy has no levels.
    func newLevel(besides taken: Set<String>) -> String? {
        guard let level = process.level else { return nil }
        let sensitivity = level.split(separator: ":").first.map(String.init) ?? level
        var candidate = ""
        // There are half a million.
        for _ in 0..<1000 {
            let (one, other) = (Int.random(in: 0..<1024), Int.random(in: 0..<1024))
            guard one != other else { continue }
            candidate = "\(sensitivity):c\(min(one, other)),c\(max(one, other))"
            if !taken.contains(candidate) { break }
        }
        return candidate
    }

    /// - Parameters:
    ///   - options: what is asked for; what it leaves out is the policy's.
    ///   - level: of what asks for none.
    func labels(_ options: SELinuxOptions?, level: String?, field: String) throws -> SELinuxLabels {
        var (process, files) = (process, files)
        let options = options ?? SELinuxOptions()
        func part(_ value: String, _ name: String) throws -> String? {
            guard !value.isEmpty else { return nil }
            // Whatever the policy takes; the text goes into options of mounts, too.
            guard value.utf8.count <= 512, value.allSatisfy({ Self.isPart($0) || name == "level" && ":,".contains($0) })
            else {
                throw BerthError.invalid(
                    field: "\(field).\(name)", value: value.prefix(128),
                    rule: "must be letters, digits, '_', '-' and '.'\(name == "level" ? ", ':' and ','" : "")")
            }
            return value
        }
        process.user = try part(options.user, "user") ?? process.user
        process.role = try part(options.role, "role") ?? process.role
        process.type = try part(options.type, "type") ?? process.type
        process.level = try part(options.level, "level") ?? level ?? process.level
        files.user = try part(options.user, "user") ?? files.user
        files.level = process.level
        return SELinuxLabels(process: process.description, files: files.description)
    }

    private static func isPart(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "_-.".contains(character))
    }
}
