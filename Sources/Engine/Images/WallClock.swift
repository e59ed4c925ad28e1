private import Glibc

/// Wall-clock time as metadata keeps it: nanoseconds since 1970.
public enum WallClock {
    public static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// RFC 3339 times, as the labels of containerd carry them.
public enum RFC3339 {
    /// Nanoseconds since 1970, or `nil` if `text` is not an RFC 3339 time (section 5.6).
    public static func parse(_ text: String) -> Int64? {
        var input = Array(text.utf8)[...]
        func number(_ digits: Int) -> Int64? {
            guard input.count >= digits else { return nil }
            var value: Int64 = 0
            for byte in input.prefix(digits) {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            input = input.dropFirst(digits)
            return value
        }
        func accept(_ characters: String) -> UInt8? {
            guard let byte = input.first, characters.utf8.contains(byte) else { return nil }
            input = input.dropFirst()
            return byte
        }
        guard let year = number(4), accept("-") != nil, let month = number(2), accept("-") != nil, let day = number(2),
            accept("Tt ") != nil, let hour = number(2), accept(":") != nil, let minute = number(2), accept(":") != nil,
            let second = number(2), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second < 61
        else { return nil }
        var nanoseconds: Int64 = 0
        if accept(".") != nil {
            var scale: Int64 = 100_000_000
            var digits = 0
            while let byte = input.first, byte >= 0x30, byte <= 0x39 {
                nanoseconds += Int64(byte - 0x30) * scale
                scale /= 10
                digits += 1
                input = input.dropFirst()
            }
            guard digits > 0 else { return nil }
        }
        var offset: Int64 = 0
        if accept("Zz") == nil {
            guard let sign = accept("+-"), let hours = number(2), accept(":") != nil, let minutes = number(2),
                hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * 60 * (sign == UInt8(ascii: "-") ? -1 : 1)
        }
        guard input.isEmpty else { return nil }
        let seconds = daysSince1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : scaled + nanoseconds
    }

    /// `2026-01-02T03:04:05Z`; fractions of a second are dropped.
    public static func format(_ nanoseconds: Int64) -> String {
        let seconds = Int(nanoseconds / 1_000_000_000)
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func padded(_ value: Int32, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
            + "T\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))Z"
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March.
    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
