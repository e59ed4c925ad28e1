internal import Core
private import Glibc

/// A moment in seconds and nanoseconds since 1970, as CRI logs and statuses carry it.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var seconds: Int64
    /// 0 to 999,999,999.
    public var nanoseconds: Int64

    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    public init(nanosecondsSince1970 value: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: 1_000_000_000)
        self.init(
            seconds: remainder < 0 ? quotient - 1 : quotient,
            nanoseconds: remainder < 0 ? remainder + 1_000_000_000 : remainder)
    }

    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    public var secondsSince1970: Double { Double(seconds) + Double(nanoseconds) / 1e9 }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// This moment, `duration` earlier.
    public func before(_ duration: Duration) -> Timestamp {
        let (whole, atto) = duration.components
        var result = Timestamp(seconds: seconds &- whole, nanoseconds: nanoseconds - atto / 1_000_000_000)
        if result.nanoseconds < 0 {
            result = Timestamp(seconds: result.seconds - 1, nanoseconds: result.nanoseconds + 1_000_000_000)
        }
        if result.nanoseconds >= 1_000_000_000 {
            result = Timestamp(seconds: result.seconds + 1, nanoseconds: result.nanoseconds - 1_000_000_000)
        }
        return result
    }

    public enum Zone: Sendable {
        case utc
        /// The zone of the machine (TZ or /etc/localtime).
        case local
    }

    /// RFC 3339; trailing zeros of the fraction are left out, and the point with them.
    public func rfc3339(in zone: Zone, fraction: Bool = true) -> String {
        var time = time_t(seconds)
        var parts = tm()
        switch zone {
        case .utc: gmtime_r(&time, &parts)
        case .local: localtime_r(&time, &parts)
        }
        var text = "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1))-\(pad(Int(parts.tm_mday)))"
        text += "T\(pad(Int(parts.tm_hour))):\(pad(Int(parts.tm_min))):\(pad(Int(parts.tm_sec)))"
        if fraction, nanoseconds > 0 {
            var digits = pad(Int(nanoseconds), 9)
            while digits.last == "0" { digits.removeLast() }
            text += ".\(digits)"
        }
        guard parts.tm_gmtoff != 0 else { return text + "Z" }
        let offset = abs(Int(parts.tm_gmtoff)) / 60
        return text + (parts.tm_gmtoff < 0 ? "-" : "+") + "\(pad(offset / 60)):\(pad(offset % 60))"
    }

    private func pad(_ value: Int, _ width: Int = 2) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Timestamp {
    /// Parses RFC 3339 with a zone; `nil` for anything else. Works on bytes since a log has one in each line.
    public init?(rfc3339 text: some Collection<UInt8>) {
        var reader = DigitReader(Array(text))
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.number(2), reader.skip(":"), let minute = reader.number(2), reader.skip(":"),
            let second = reader.number(2), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var nanoseconds: Int64 = 0
        if reader.skip(".") {
            guard let fraction = reader.fraction() else { return nil }
            nanoseconds = fraction
        }
        guard let offset = reader.zone(), reader.isAtEnd else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        self.init(seconds: days * 86400 + hour * 3600 + minute * 60 + second - offset, nanoseconds: nanoseconds)
    }

    /// A moment as `--since` takes it: a duration before `now`, RFC 3339 (with or without zone, or a date alone), or
    /// seconds since 1970 with an optional fraction.
    ///
    /// - Throws: `BerthError` (`invalidArgument`).
    public init(since text: String, now: Timestamp = .now) throws {
        if let moment = Timestamp(rfc3339: text.utf8) {
            self = moment
        } else if let moment = Timestamp(rfc3339: "\(text)Z".utf8) {
            self = moment
        } else if let moment = Timestamp(rfc3339: "\(text):00Z".utf8) {
            self = moment
        } else if let moment = Timestamp(rfc3339: "\(text)T00:00:00Z".utf8) {
            self = moment
        } else if let seconds = Double(text), seconds.isFinite, abs(seconds) < 9e9 {
            self.init(nanosecondsSince1970: Int64(seconds * 1e9))
        } else if let duration = try? DurationText.parse(text, field: "since") {
            self = now.before(duration)
        } else {
            throw BerthError.invalid(
                field: "--since", value: text, rule: "must be a time such as 2026-01-02T13:23:37Z or an age such as 42m"
            )
        }
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468
    }
}

private struct DigitReader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    private mutating func digit() -> Int64? {
        guard index < bytes.count, (48...57).contains(bytes[index]) else { return nil }
        defer { index += 1 }
        return Int64(bytes[index] - 48)
    }

    mutating func number(_ width: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<width {
            guard let next = digit() else { return nil }
            value = value * 10 + next
        }
        return value
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    /// Digits of a fraction as nanoseconds; what is finer is cut.
    mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var width = 0
        while let next = digit() {
            if width < 9 { value = value * 10 + next }
            width += 1
        }
        guard width > 0 else { return nil }
        for _ in min(width, 9)..<9 { value *= 10 }
        return value
    }

    /// The offset of the zone in seconds.
    mutating func zone() -> Int64? {
        if skip("Z") || skip("z") { return 0 }
        let isNegative = skip("-")
        guard isNegative || skip("+") else { return nil }
        guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        return (hours * 3600 + minutes * 60) * (isNegative ? -1 : 1)
    }
}
