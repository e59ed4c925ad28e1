import Testing

@testable import Terminal

@Suite struct ProgressBoardTests {
    @Test func barShowsTheShare() {
        #expect(ProgressBoard.bar(.init(name: "a", state: "x", done: 5, total: 10), width: 10) == "+++++-----")
        #expect(ProgressBoard.bar(.init(name: "a", state: "x", done: 50, total: 10), width: 4) == "++++")
        #expect(ProgressBoard.bar(.init(name: "a", state: "x", done: 5), width: 4) == "----")
        #expect(ProgressBoard.bar(.init(name: "a", state: "x", isFinished: true), width: 4) == "++++")
    }

    @Test func pictureHasALineForEachItemAndTheSum() {
        let items = [
            ProgressBoard.Item(name: "layer-1", state: "downloading", done: 1 << 20, total: 4 << 20),
            ProgressBoard.Item(name: "config", state: "done", done: 1024, total: 1024, isFinished: true),
        ]
        let lines = ProgressBoard.lines(of: items, width: 100, elapsed: .seconds(2))
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("layer-1: downloading |++++++++++-----"))
        #expect(lines[0].hasSuffix("| 1.0 MiB/4.0 MiB"))
        #expect(lines[1].hasPrefix("config:  done        |++++"))
        #expect(lines[2] == "elapsed: 2.0 s  total: 1.0 MiB (512.5 KiB/s)")
    }

    @Test func linesFitTheTerminal() {
        let name = "layer-sha256:" + String(repeating: "a", count: 64)
        let items = [ProgressBoard.Item(name: name, state: "downloading", done: 1, total: 2)]
        for width in [20, 40, 80, 200] {
            let line = ProgressBoard.lines(of: items, width: width, elapsed: .zero)[0]
            #expect(line.count <= width)
        }
        #expect(ProgressBoard.lines(of: items, width: 80, elapsed: .zero)[0].contains("…"))
    }
}
