import Testing

@testable import Terminal

@Suite struct TextTableTests {
    @Test func columnsOfCrictlAreAtLeastTwentyWide() {
        var table = TextTable(.crictl, header: ["POD ID", "STATE", "NAME"])
        table.add(["5ea058e1986c9", "Ready", "web"])
        #expect(
            table.render() == """
                POD ID              STATE               NAME
                5ea058e1986c9       Ready               web

                """)
    }

    @Test func widestCellDecidesWithThreeBlanksBetween() {
        var table = TextTable(.crictl, header: ["CREATED", "STATE"])
        table.add(["Less than a second ago", "Ready"])
        #expect(table.render() == "CREATED                  STATE\nLess than a second ago   Ready\n")
    }

    @Test func lastCellDoesNotWidenAColumn() {
        var table = TextTable(.init(minimumWidth: 4, padding: 1))
        table.add(["a", "b"])
        table.add(["a very long last cell"])
        #expect(table.render() == "a   b\na very long last cell\n")
    }

    @Test func ctrFillsTheLastColumnToo() {
        var table = TextTable(.ctr, header: ["KEY", "KIND"])
        table.add(["foo", "Committed"])
        #expect(table.render() == "KEY KIND      \nfoo Committed \n")
    }

    @Test func ctrContentUsesTabStops() {
        var table = TextTable(.ctrTabs, header: ["DIGEST", "SIZE", "AGE", "LABELS"])
        table.add(["sha256:" + String(repeating: "a", count: 64), "1.084MB", "19 minutes", "-"])
        table.add(["sha256:" + String(repeating: "b", count: 64), "6B", "Less than a second", "-"])
        let lines = table.render().split(separator: "\n")
        #expect(lines[0] == "DIGEST\t\t\t\t\t\t\t\t\tSIZE\tAGE\t\t\tLABELS")
        #expect(lines[1].hasSuffix("a\t1.084MB\t19 minutes\t\t-"))
        #expect(lines[2].hasSuffix("b\t6B\tLess than a second\t-"))
    }

    @Test func tableWithoutRowsIsEmpty() {
        #expect(TextTable(.crictl).render() == "")
    }
}
