internal import LinuxKernel
internal import SystemPackage
internal import TestSupport
internal import Testing

/// `hooks`.
@Suite struct OCIHookTests {
    /// A list of hooks that are scripts: host's sh, and for startContainer the container's.
    private static func hooks(_ kind: String, _ scripts: String..., more: String = "") -> String {
        let list = scripts.map { #"{"path": "/bin/sh", "args": ["sh", "-c", "\#($0)"]\#(more)}"# }
        return "\"\(kind)\": [\(list.joined(separator: ", "))]"
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func eachKindRunsInItsTurnWithTheStateOnItsInput(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let log = try fixture.scratch.directory("hooks").string
            func tell(_ name: String, in folder: String) -> String {
                "echo \(name) $(grep -o 'status[^,}]*' | tr -cd 'a-z:') >> \(folder)/log"
            }
            try await fixture.configure(
                ["/bin/sleep", "1000"],
                """
                .mounts += [{"destination": "/hooks", "type": "bind", "source": "\(log)", "options": ["bind"]}] | .hooks = {
                \(Self.hooks("poststop", tell("poststop", in: log))),
                \(Self.hooks("poststart", tell("poststart", in: log))),
                \(Self.hooks("startContainer", tell("startContainer", in: "/hooks"))),
                \(Self.hooks("createContainer", tell("createContainer", in: log))),
                \(Self.hooks("createRuntime", tell("one", in: log), tell("two", in: log))),
                \(Self.hooks("prestart", tell("prestart", in: log)))}
                """)
            func told() throws -> [String] {
                try Files.readText(FilePath(log).appending("log")).split(separator: "\n").map(String.init)
            }
            let created = [
                "prestart status:creating", "one status:creating", "two status:creating",
                "createContainer status:creating",
            ]
            let later = ["poststart status:running", "startContainer status:created"]
            try await fixture.detached("create --bundle \(fixture.bundle) c1")
            #expect(try told() == created + (kind.has(.poststartAfterStart) ? [] : ["poststart status:created"]))
            try await fixture.runtime.check("start", "c1")
            // The container's own runs beside `start`.
            try await eventually("startContainer") { try told().count == 6 }
            #expect(try told().prefix(4) == created[...])
            if kind.has(.poststartAfterStart) { #expect(try told().suffix(2).sorted() == later) }
            try await fixture.runtime.check("delete", "--force", "c1")
            #expect(try told().last == "poststop status:stopped")
        }
    }

    /// createContainer: in the container's namespaces, before the root is entered; startContainer: in the container.
    @Test(arguments: RuntimeUnderTest.allCases)
    func eachRunsInItsPlaceWithItsEnvironmentAlone(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let log = try fixture.scratch.directory("hooks").string
            let show = "echo $A $B $(readlink /proc/self/ns/uts) $(test -e \(log) && echo host)"
            let output = try await fixture.shell(
                "cat /hooks/*; readlink /proc/self/ns/uts",
                """
                .mounts += [{"destination": "/hooks", "type": "bind", "source": "\(log)", "options": ["bind"]}] | .hooks = {
                \(Self.hooks("createRuntime", "\(show) > \(log)/1", more: #", "env": ["A=a"]"#)),
                \(Self.hooks("createContainer", "\(show) > \(log)/2", more: #", "env": ["B=b"]"#)),
                \(Self.hooks("startContainer", "\(show) > /hooks/3", more: #", "env": ["A=a", "B=b"]"#))}
                """)
            let own = try Syscall.readlinkat("/proc/self/ns/uts")
            let inside = output.shown.last ?? ""
            #expect(output.shown == ["a \(own) host", "b \(inside) host", "a b \(inside)", inside], "\(output)")
            #expect(inside != own)
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func oneThatFailsEndsTheContainer(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let ran = fixture.scratch.appending("poststop")
            for name in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
                let output = try await fixture.shell(
                    name == "poststart" ? "sleep 1000" : "echo ran",
                    ".hooks = {\(Self.hooks(name, "exit 3")), \(Self.hooks("poststop", "echo > \(ran)"))}")
                #expect(output.code == 1, "\(name): \(output)")
                #expect(output.standardOutput == "", "\(name): \(output)")
                #expect(output.standardError.contains("hook"), "\(name): \(output)")
                #expect(try await fixture.runtime.check("list", "--quiet").standardOutput == "", "\(name)")
                #expect(try !fixture.cgroup.exists, "\(name)")
                #expect(Files.exists(ran), "poststop hooks run also after a failed \(name)")
                try? Files.removeTree(ran)
            }
        }
    }

    @Test(arguments: RuntimeUnderTest.allCases)
    func oneThatTakesTooLongIsEnded(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let before = ContinuousClock.now
            let output = try await fixture.shell(
                "echo ran", ".hooks = {\(Self.hooks("createRuntime", "exec sleep 60", more: #", "timeout": 1"#))}")
            #expect(output.code == 1, "\(output)")
            #expect(output.standardOutput == "")
            #expect(ContinuousClock.now - before < .seconds(30))
        }
    }

    /// "If any poststop hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue".
    @Test(arguments: RuntimeUnderTest.allCases)
    func poststopThatFailsIsNoMoreThanAWarning(_ kind: RuntimeUnderTest) async throws {
        try await OCIFixture.with(kind) { fixture in
            let ran = fixture.scratch.appending("ran")
            let output = try await fixture.shell(
                "exit 4", ".hooks = {\(Self.hooks("poststop", "exit 3", "echo > \(ran)"))}")
            #expect(output.code == 4, "\(output)")
            #expect(output.standardError.contains("hook"), "\(output)")
            #expect(Files.exists(ran) == kind.has(.poststopHooksAfterAFailedOne))
            #expect(try await fixture.runtime.check("list", "--quiet").standardOutput == "")
        }
    }
}
