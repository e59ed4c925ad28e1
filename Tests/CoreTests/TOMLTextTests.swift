internal import Core
internal import Testing

@Suite struct TOMLTextTests {
    @Test(arguments: ["[a]", "[[a.b]]", "  [ \"a b\" ]", "a = [1, 2]", "['x']\n[_]", "", "[", "[[]]", "# [("])
    func headersThatTheLibraryTakesOrRefusesPass(_ text: String) throws {
        try TOMLText.checkTableHeaders(text)
    }

    /// The library's parser aborts at these.
    @Test(arguments: ["[(", "a = 1\n[[ =]]", "\t[\u{E9}]", "[\r", "# x\n[[ \na = 1"])
    func headersWithoutAKeyNameTheirLine(_ text: String) {
        let line = text.contains("\n") ? 2 : 1
        let error = #expect(throws: BerthError.self) { try TOMLText.checkTableHeaders(text) }
        #expect("\(error as Any)".contains("(line \(line))"))
    }

    @Test func aBracketAloneOnALineIsRefusedWhereALineFollows() {
        #expect(throws: BerthError.self) { try TOMLText.checkTableHeaders("[\nx = 1") }
        #expect(throws: BerthError.self) { try TOMLText.checkTableHeaders("[\n") }
    }
}
