internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Hooks that the node's owner puts into each container of a kind, by files in directories (oci-hooks(5)).
///
/// They are read anew for each container. A file of a later directory replaces one of the same name.
struct HookDirectory {
    private static let fileLimit = 1 << 20

    let directories: [FilePath]

    /// - Throws: `BerthError` (`invalidArgument`) for a file that is no description of a hook: a container without a hook
    ///   that it should have had is worse than none.
    func hooks(for spec: RuntimeSpec, annotations: [String: String], hasBindMounts: Bool) throws -> RuntimeSpec.Hooks? {
        var files: [String: FilePath] = [:]
        for directory in directories {
            // A directory that is not there holds nothing.
            for name in (try? Files.list(directory)) ?? [] where name.hasSuffix(".json") {
                files[name] = directory.appending(name)
            }
        }
        var result: RuntimeSpec.Hooks?
        for (_, path) in files.sorted(by: { $0.key < $1.key }) {
            do {
                let description = try StrictJSON.decode(
                    HookDescription.self, from: Files.read(path, limit: Self.fileLimit), what: "hook")
                try description.check()
                let command = spec.process?.args?.first ?? ""
                guard
                    try description.when.matches(
                        command: command, annotations: annotations, hasBindMounts: hasBindMounts)
                else { continue }
                result = (result ?? RuntimeSpec.Hooks()).followed(by: description.hooks)
            } catch {
                throw BerthError.wrapping(error, "hook \(path)")
            }
        }
        return result
    }
}

struct HookDescription: Decodable {
    struct Conditions: Decodable {
        var always: Bool?
        /// Regular expressions of keys and values.
        var annotations: [String: String]?
        /// Regular expressions of the program.
        var commands: [String]?
        var hasBindMounts: Bool?

        /// Whether each condition that is set holds, and one is.
        func matches(command: String, annotations: [String: String], hasBindMounts: Bool) throws -> Bool {
            var count = 0
            if let always = self.always {
                guard always else { return false }
                count += 1
            }
            if let wanted = self.hasBindMounts {
                guard wanted == hasBindMounts else { return false }
                count += 1
            }
            for (key, value) in self.annotations ?? [:] {
                let (keys, values) = (try Self.expression(key), try Self.expression(value))
                guard annotations.contains(where: { $0.key.contains(keys) && $0.value.contains(values) }) else {
                    return false
                }
                count += 1
            }
            if let commands, !commands.isEmpty {
                guard try commands.contains(where: { command.contains(try Self.expression($0)) }) else { return false }
                count += 1
            }
            return count > 0
        }

        private static func expression(_ text: String) throws -> Regex<AnyRegexOutput> {
            do { return try Regex(text) } catch {
                throw BerthError.invalid(field: "when", value: text, rule: "is no regular expression")
            }
        }
    }

    var version: String
    var hook: RuntimeSpec.Hook
    var when: Conditions
    var stages: [String]

    func check() throws {
        guard version == "1.0.0" else {
            throw BerthError.invalid(field: "version", value: version, rule: "must be 1.0.0")
        }
        guard hook.path.hasPrefix("/"), Files.exists(FilePath(hook.path)) else {
            throw BerthError.invalid(field: "hook.path", value: hook.path, rule: "is no program by an absolute path")
        }
        let known = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        for stage in stages where !known.contains(stage) {
            throw BerthError.invalid(
                field: "stages", value: stage, rule: "must be one of \(known.joined(separator: ", "))")
        }
        guard !stages.isEmpty else { throw BerthError(.invalidArgument, "stages is empty") }
    }

    var hooks: RuntimeSpec.Hooks {
        var result = RuntimeSpec.Hooks()
        if stages.contains("prestart") { result.prestart = [hook] }
        if stages.contains("createRuntime") { result.createRuntime = [hook] }
        if stages.contains("createContainer") { result.createContainer = [hook] }
        if stages.contains("startContainer") { result.startContainer = [hook] }
        if stages.contains("poststart") { result.poststart = [hook] }
        if stages.contains("poststop") { result.poststop = [hook] }
        return result
    }
}
