internal import Core
internal import Testing

@Suite struct SeenTextsTests {
    @Test func eachTextIsNewOnceAmongFewAndMany() {
        var seen = SeenTexts()
        for number in 0..<200 {
            let answers = ["text \(number)", "text \(number)", "text 0"].map { seen.insert($0) }
            #expect(answers == [true, false, false])
        }
    }
}
