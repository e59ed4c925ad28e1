import Core
import OCISpec
import TestSupport
import Testing

@testable import Engine

@Suite struct HookDirectoryTests {
    private func hooks(
        _ files: [String: String], annotations: [String: String] = [:], hasBindMounts: Bool = false
    ) throws -> RuntimeSpec.Hooks? {
        let scratch = try ScratchDirectory("hooks")
        for (name, text) in files { try scratch.file(name, text) }
        var spec = RuntimeSpec()
        spec.process = RuntimeSpec.Process()
        spec.process?.args = ["/usr/bin/serve"]
        let directories = [scratch.appending("a"), scratch.appending("b"), scratch.appending("missing")]
        return try withExtendedLifetime(scratch) {
            try HookDirectory(directories: directories).hooks(
                for: spec, annotations: annotations, hasBindMounts: hasBindMounts)
        }
    }

    private func file(_ when: String, stages: String = #""poststop""#, argument: String = "x") -> String {
        #"{"version": "1.0.0", "hook": {"path": "/bin/true", "args": ["true", "\#(argument)"]}, "#
            + #""when": {\#(when)}, "stages": [\#(stages)]}"#
    }

    @Test func everyConditionThatIsSetHasToHold() throws {
        #expect(try hooks(["a/1.json": file(#""always": true"#)])?.poststop?.count == 1)
        #expect(try hooks(["a/1.json": file(#""always": false"#)]) == nil)
        #expect(try hooks(["a/1.json": file("")]) == nil)
        #expect(try hooks(["a/1.json": file(#""commands": ["^/usr/.*serve$"]"#)]) != nil)
        #expect(try hooks(["a/1.json": file(#""commands": ["^/bin/"]"#)]) == nil)
        let annotated = ["a/1.json": file(#""annotations": {"^gpu$": "[12]"}, "hasBindMounts": true"#)]
        #expect(try hooks(annotated, annotations: ["gpu": "2"], hasBindMounts: true) != nil)
        #expect(try hooks(annotated, annotations: ["gpu": "3"], hasBindMounts: true) == nil)
        #expect(try hooks(annotated, annotations: ["gpu": "2"]) == nil)
    }

    @Test func filesAreTakenInTheOrderOfTheirNamesAndLaterDirectoriesWin() throws {
        let always = #""always": true"#
        let found = try hooks([
            "a/2.json": file(always, argument: "two"), "a/1.json": file(always, argument: "one"),
            "b/2.json": file(always, stages: #""poststop", "prestart""#, argument: "other"), "a/README": "no hook",
        ])
        #expect(found?.poststop?.map { $0.args?.last } == ["one", "other"])
        #expect(found?.prestart?.count == 1)
    }

    @Test func whatIsNoHookIsRefusedByItsFile() throws {
        let broken = [
            "{": "hook", file(#""always": true"#, stages: #""never""#): "stages",
            file(#""always": true"#).replacing("1.0.0", with: "2.0.0"): "version",
            file(#""always": true"#).replacing("/bin/true", with: "/no/such"): "hook.path",
            file(#""commands": ["("]"#): "regular expression",
        ]
        for (text, word) in broken {
            let error = try #require(throws: BerthError.self) { _ = try hooks(["a/bad.json": text]) }
            #expect("\(error)".contains("a/bad.json"), "\(error)")
            #expect("\(error)".contains(word), "\(error)")
        }
    }
}
