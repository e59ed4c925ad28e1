import Core
import LinuxKernel
import SystemPackage
import TestSupport
import Testing

@testable import Engine

@Suite struct SELinuxPolicyTests {
    private let contexts = """
        # a comment
        process = "system_u:system_r:container_t:s0"
        content = "system_u:object_r:virt_var_lib_t:s0"
        file = "system_u:object_r:container_file_t:s0"
        """

    private func labels(_ options: SELinuxOptions?, level: String? = "s0:c1,c2") throws -> SELinuxLabels {
        try #require(SELinuxPolicy(lxcContexts: contexts)).labels(options, level: level, field: "options")
    }

    @Test func whatIsNotAskedForIsThePolicys() throws {
        #expect(
            try labels(nil)
                == SELinuxLabels(
                    process: "system_u:system_r:container_t:s0:c1,c2",
                    files: "system_u:object_r:container_file_t:s0:c1,c2"))
    }

    @Test func typeAndRoleAreTheProcesssAloneAndUserAndLevelTheFilesToo() throws {
        let options = SELinuxOptions(user: "u", role: "r", type: "spc_t", level: "s0:c8.c10")
        #expect(
            try labels(options)
                == SELinuxLabels(process: "u:r:spc_t:s0:c8.c10", files: "u:object_r:container_file_t:s0:c8.c10"))
    }

    @Test(arguments: [
        (SELinuxOptions(type: "a:b"), "options.type"), (SELinuxOptions(level: "s0\",rw"), "options.level"),
        (SELinuxOptions(user: String(repeating: "u", count: 513)), "options.user"),
    ])
    func whatIsNoPartOfAContextIsRefused(options: SELinuxOptions, field: String) throws {
        let error = #expect(throws: BerthError.self) { try labels(options) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(field) == true, "\(error?.message ?? "")")
    }

    @Test func levelsAreNotGivenTwice() throws {
        let policy = try #require(SELinuxPolicy(lxcContexts: contexts))
        var taken: Set<String> = []
        for _ in 0..<200 {
            let level = try #require(policy.newLevel(besides: taken))
            #expect(level.wholeMatch(of: /s0:c[0-9]+,c[0-9]+/) != nil)
            #expect(taken.insert(level).inserted)
        }
    }

    @Test func aPolicyWithoutLevelsHasNone() throws {
        let policy = try #require(SELinuxPolicy(lxcContexts: "process = u:r:c_t\nfile = u:o:f_t\n"))
        #expect(policy.newLevel(besides: []) == nil)
        #expect(
            try policy.labels(nil, level: nil, field: "x") == SELinuxLabels(process: "u:r:c_t", files: "u:o:f_t"))
    }

    @Test func thePolicyIsTheOneOfTheConfiguration() throws {
        let scratch = try ScratchDirectory("selinux")
        #expect(SELinuxPolicy.load(scratch.path) == nil)
        try scratch.file("config", "# targeted or strict\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
        #expect(SELinuxPolicy.load(scratch.path) == nil)
        try scratch.file("targeted/contexts/lxc_contexts", contexts)
        #expect(SELinuxPolicy.load(scratch.path)?.process.type == "container_t")
        try scratch.file("config", "SELINUXTYPE=../targeted\n")
        #expect(SELinuxPolicy.load(scratch.path) == nil)
    }
}

/// The context of a file itself.
func fileContext(_ path: FilePath) throws -> String {
    String(decoding: try Syscall.lgetxattr(path, "security.selinux").prefix { $0 != 0 }, as: UTF8.self)
}

/// The attribute is one like others where the kernel runs without SELinux.
@Suite(.enabled(if: Syscall.effectiveUserID == 0, "needs root")) struct RelabelTests {
    private static let label = "system_u:object_r:container_file_t:s0:c1,c2"

    @Test func aTreeIsLabelledAndWhatItsLinksLeadToIsNot() throws {
        let scratch = try ScratchDirectory("relabel")
        try scratch.file("outside", "x")
        try scratch.file("tree/a/file", "x")
        try Syscall.symlinkat(target: scratch.appending("outside").string, scratch.appending("tree/a/link"))
        try Syscall.symlinkat(target: scratch.appending("tree").string, scratch.appending("entry"))
        try Relabel.tree(scratch.appending("entry"), as: Self.label, field: "mount")
        for name in ["tree", "tree/a", "tree/a/file", "tree/a/link"] {
            #expect(try fileContext(scratch.appending(name)) == Self.label, "\(name)")
        }
        for name in ["outside", "entry"] {
            #expect((try? fileContext(scratch.appending(name))) != Self.label, "\(name)")
        }
    }

    @Test func aFileByItselfIsLabelled() throws {
        let scratch = try ScratchDirectory("relabel")
        try scratch.file("file", "x")
        try Relabel.tree(scratch.appending("file"), as: Self.label, field: "mount")
        #expect(try fileContext(scratch.appending("file")) == Self.label)
    }

    @Test(arguments: ["/", "/etc", "/usr/../etc", "/proc/self/root"])
    func directoriesOfTheSystemAreRefused(path: String) throws {
        let error = #expect(throws: BerthError.self) {
            try Relabel.tree(FilePath(path), as: Self.label, field: "config.mounts[0].selinux_relabel")
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("config.mounts[0].selinux_relabel") == true)
    }
}
