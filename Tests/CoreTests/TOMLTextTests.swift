@testable internal import Core
internal import Testing

@Suite struct TOMLTextTests {
    @Test(arguments: ["[a]", "[[a.b]]", "  [ \"a b\" ]", "a = [1, 2]", "['x']\n[_]", "", "[", "[[]]", "# [("])
    func headersThatTheLibraryTakesOrRefusesPass(_ text: String) throws {
        try TOMLText.check(text)
    }

    @Test(arguments: [
        "a = \"\"\"\n[(\n\"\"\"", "a = '''\n[\n('''", "a = [\n[\n1],\n[ {b = 2} ]\n]", "a = [\n  [\"x\"],\n  [(1)]\n]",
    ])
    func bracketsAtALinesStartThatBeginNoHeaderPass(_ text: String) throws {
        try TOMLText.check(text)
    }

    /// The library's parser aborts at these.
    @Test(arguments: ["[(", "a = 1\n[[ =]]", "\t[\u{E9}]", "[\r", "# x\n[[ \na = 1", "\u{FEFF}[\t\u{8}]"])
    func headersWithoutAKeyNameTheirLine(_ text: String) {
        let line = text.contains("\n") ? 2 : 1
        let error = #expect(throws: BerthError.self) { try TOMLText.check(text) }
        #expect("\(error as Any)".contains("(line \(line))"))
    }

    @Test func aBracketAloneOnALineIsRefusedWhereALineFollows() {
        #expect(throws: BerthError.self) { try TOMLText.check("[\nx = 1") }
        #expect(throws: BerthError.self) { try TOMLText.check("[\n") }
    }

    @Test(arguments: [
        "a = [1, 2]", "a = [ {}, {b = 1} ]", "a = [\n  1, # , }\n]", #"a = "[}""#, "a = '[}'", #"a = "\"[}""#,
        "a = \"\"\"\n[}\"\"\"", "a = '''[}'''''", "a = \"\"\nb = ['}']", "[a]\n}", "\"", #"a = "\"#, "a = [", "# [}",
        "",
    ])
    func arraysThatTheLibraryTakesOrRefusesPass(_ text: String) throws {
        try TOMLText.check(text)
    }

    /// The library's parser aborts at these, or does anything.
    @Test(arguments: [
        "\na = [}", "\na = [1, }", "a = [ # x\n }",
        "\na = [\u{A0}}]", "a = [\r\n}", "\na = [\"\", }", "\na = ['''x'''', }",
    ])
    func arraysWithABraceForAValueNameTheirLine(_ text: String) {
        let error = #expect(throws: BerthError.self) { try TOMLText.check(text) }
        #expect("\(error as Any)".contains("(line 2)"))
    }
}
