internal import Core
internal import Testing

@Suite struct TOMLTextTests {
    @Test(arguments: ["[a]", "[[a.b]]", "  [ \"a b\" ]", "a = [1, 2]", "['x']\n[_]", "", "[", "[[]]", "# [("])
    func headersThatTheLibraryTakesOrRefusesPass(_ text: String) throws {
        try TOMLText.checkTableHeaders(text)
    }

    /// The library's parser aborts at these.
    @Test(arguments: ["[(", "a = 1\n[[ =]]", "\t[\u{E9}]", "[\r"])
    func headersWithoutAKeyNameTheirLine(_ text: String) {
        let line = text.contains("\n") ? 2 : 1
        let error = #expect(throws: BerthError.self) { try TOMLText.checkTableHeaders(text) }
        #expect("\(error as Any)".contains("(line \(line))"))
    }
}
