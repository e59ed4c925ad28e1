import Core
import Foundation
import Testing

@testable import Terminal

@Suite struct LogTests {
    private func line(_ second: Int, _ stream: String, _ tag: String, _ text: String) -> String {
        "2026-01-01T00:00:\(second < 10 ? "0" : "")\(second).000000001Z \(stream) \(tag) \(text)\n"
    }

    private func texts(_ outputs: [LogFilter.Output]) -> [String] {
        outputs.map { "\($0.stream.rawValue):\(String(decoding: $0.bytes, as: UTF8.self))" }
    }

    @Test func lineHasTimestampStreamTagAndText() throws {
        let line = try LogLine(parsing: "2016-10-06T00:17:09.669794202Z stderr P a  b ".utf8)
        #expect(line.stream == .stderr)
        #expect(line.isPartial)
        #expect(line.timestamp == Timestamp(seconds: 1_475_713_029, nanoseconds: 669_794_202))
        #expect(String(decoding: line.content, as: UTF8.self) == "a  b ")
    }

    @Test func emptyTextIsALine() throws {
        #expect(try LogLine(parsing: "2016-10-06T00:17:09Z stdout F ".utf8).content.isEmpty)
        #expect(try LogLine(parsing: "2016-10-06T00:17:09Z stdout F".utf8).content.isEmpty)
    }

    @Test(arguments: ["hello", "2016-10-06T00:17:09Z stdin F x", "yesterday stdout F x", ""])
    func otherFormatsAreMalformed(text: String) {
        #expect(throws: LogLine.Malformed.self) { try LogLine(parsing: text.utf8) }
    }

    @Test func partialLinesAreJoined() {
        var filter = LogFilter(LogOptions())
        let log = line(1, "stdout", "P", "one ") + line(1, "stderr", "F", "err") + line(1, "stdout", "F", "two")
        #expect(texts(filter.add(log.utf8)) == ["stdout:one ", "stderr:err\n", "stdout:two\n"])
    }

    @Test func piecesOfAnySizeGiveTheSameLines() {
        var filter = LogFilter(LogOptions())
        let log = line(1, "stdout", "F", "a") + line(2, "stdout", "F", "b")
        let outputs = log.utf8.flatMap { filter.add([$0]) }
        #expect(texts(outputs) == ["stdout:a\n", "stdout:b\n"])
    }

    @Test func lineWithoutNewlineComesAtTheEnd() {
        var filter = LogFilter(LogOptions())
        #expect(filter.add(line(1, "stdout", "F", "last").dropLast().utf8).isEmpty)
        #expect(texts(filter.finish()) == ["stdout:last\n"])
    }

    @Test func sinceStreamAndTimestampsSelect() {
        var options = LogOptions()
        options.since = Timestamp(rfc3339: "2026-01-01T00:00:02Z".utf8)
        options.stream = .stdout
        options.timestamps = true
        var filter = LogFilter(options)
        let log = line(1, "stdout", "F", "old") + line(2, "stdout", "F", "new") + line(3, "stderr", "F", "err")
        #expect(texts(filter.add(log.utf8)) == ["stdout:2026-01-01T00:00:02.000000001Z new\n"])
    }

    @Test func limitCutsTheOutput() {
        var options = LogOptions()
        options.limitBytes = 5
        var filter = LogFilter(options)
        let log = line(1, "stdout", "F", "abc") + line(1, "stdout", "F", "def") + line(1, "stdout", "F", "ghi")
        #expect(texts(filter.add(log.utf8)) == ["stdout:abc\n", "stdout:d"])
        #expect(filter.isFull)
    }

    @Test func malformedLinesAreCountedNotShown() {
        var filter = LogFilter(LogOptions())
        #expect(texts(filter.add(("garbage\n" + line(1, "stdout", "F", "a")).utf8)) == ["stdout:a\n"])
        #expect(filter.malformed.count == 1)
    }

    @Test(arguments: [(0, 9), (1, 6), (2, 3), (3, 0), (4, 0)])
    func tailCountsFromTheEnd(lines: Int, offset: Int) {
        let bytes = Array("aa\nbb\ncc\n".utf8)
        #expect(LogFilter.offset(ofLast: lines, size: bytes.count) { Array(bytes[$0]) } == offset)
    }

    @Test func tailWorksOverBlocksAndWithoutLastNewline() {
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 200_000)
        let bytes = Array("first\n".utf8) + long + Array("\nlast".utf8)
        #expect(LogFilter.offset(ofLast: 1, size: bytes.count) { Array(bytes[$0]) } == bytes.count - 4)
        #expect(LogFilter.offset(ofLast: 2, size: bytes.count) { Array(bytes[$0]) } == 6)
        #expect(LogFilter.offset(ofLast: 3, size: bytes.count) { Array(bytes[$0]) } == 0)
    }

    @Test func fileIsFollowedOverRotation() throws {
        let path = NSTemporaryDirectory() + "berth-log-\(UUID().uuidString)"
        defer { for name in [path, path + ".1"] { try? FileManager.default.removeItem(atPath: name) } }
        try Data("one\ntwo\n".utf8).write(to: URL(fileURLWithPath: path))
        var file = try LogFile(path: path)
        try file.skipToLast(1)
        #expect(try file.read() == Array("two\n".utf8))
        #expect(try file.read().isEmpty)
        #expect(try !file.followRotation())
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        #expect(try !file.followRotation())
        try Data("three\n".utf8).write(to: URL(fileURLWithPath: path))
        #expect(try file.followRotation())
        #expect(try file.read() == Array("three\n".utf8))
    }

    @Test func missingLogIsNamed() {
        let error = #expect(throws: BerthError.self) { _ = try LogFile(path: "/nonexistent/berth.log") }
        #expect(error?.message == "open log /nonexistent/berth.log: no such file or directory")
    }
}
