import Core
import Testing

@testable import Terminal

@Suite struct TimeTests {
    @Test(arguments: [
        ("2s", 2_000), ("300ms", 300), ("1m30s", 90_000), ("1.5h", 5_400_000), ("20", 20_000), ("-1s", -1_000),
        ("0", 0), ("1h0m0.5s", 3_600_500), ("2000us", 2),
    ])
    func durationsReadAsInGo(text: String, milliseconds: Int64) throws {
        #expect(try DurationText.parse(text, field: "timeout") == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "s", "2 s", "1x", "m5", "1..5s", "nan", "1e300", "-", "inf"])
    func badDurationIsNamed(text: String) {
        let error = #expect(throws: BerthError.self) { try DurationText.parse(text, field: "--timeout") }
        #expect(error?.message.contains("--timeout: \"\(text)\"") == true)
    }

    @Test(arguments: [
        ("2016-10-06T00:17:09.669794202Z", 1_475_713_029, 669_794_202),
        ("2016-10-06T02:17:09.5+02:00", 1_475_713_029, 500_000_000),
        ("1970-01-01T00:00:00Z", 0, 0), ("1969-12-31T23:59:59Z", -1, 0), ("2024-02-29T12:00:00Z", 1_709_208_000, 0),
        ("2016-10-06T00:17:09.6697942029999Z", 1_475_713_029, 669_794_202),
    ])
    func readsRFC3339(text: String, seconds: Int64, nanoseconds: Int64) {
        #expect(Timestamp(rfc3339: text.utf8) == Timestamp(seconds: seconds, nanoseconds: nanoseconds))
    }

    @Test(arguments: ["", "2016-10-06", "2016-13-06T00:00:00Z", "2016-10-06T00:17:09", "2016-10-06T00:17:09.Z", "x"])
    func refusesWhatIsNotRFC3339(text: String) {
        #expect(Timestamp(rfc3339: text.utf8) == nil)
    }

    @Test func writesRFC3339WithoutTrailingZeros() {
        #expect(
            Timestamp(seconds: 1_475_713_029, nanoseconds: 669_794_200).rfc3339(in: .utc)
                == "2016-10-06T00:17:09.6697942Z")
        #expect(Timestamp(seconds: 0).rfc3339(in: .utc) == "1970-01-01T00:00:00Z")
        #expect(Timestamp(nanosecondsSince1970: -1) == Timestamp(seconds: -1, nanoseconds: 999_999_999))
    }

    @Test func sinceTakesAgesAndTimes() throws {
        let now = Timestamp(seconds: 10_000, nanoseconds: 500)
        #expect(try Timestamp(since: "42m", now: now) == Timestamp(seconds: 10_000 - 42 * 60, nanoseconds: 500))
        #expect(try Timestamp(since: "500ms", now: now) == Timestamp(seconds: 9_999, nanoseconds: 500_000_500))
        #expect(try Timestamp(since: "1970-01-01T00:00:10", now: now) == Timestamp(seconds: 10))
        #expect(try Timestamp(since: "1970-01-02", now: now) == Timestamp(seconds: 86400))
        #expect(try Timestamp(since: "1970-01-01T00:01:00Z", now: now) == Timestamp(seconds: 60))
        #expect(try Timestamp(since: "1234", now: now) == Timestamp(seconds: 1234))
        #expect(throws: BerthError.self) { try Timestamp(since: "yesterday", now: now) }
    }
}
