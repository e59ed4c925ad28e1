internal import Foundation

/// Ages and sizes in the words that docker, crictl and ctr use for them.
public enum HumanText {
    /// "Less than a second", "3 minutes", "About an hour", "2 weeks"; a negative age counts as none.
    public static func duration(seconds: Double) -> String {
        let whole = Int(min(max(seconds, 0), 1e15))
        switch whole {
        case 0: return "Less than a second"
        case 1: return "1 second"
        case ..<60: return "\(whole) seconds"
        default: break
        }
        let minutes = whole / 60
        switch minutes {
        case 1: return "About a minute"
        case ..<60: return "\(minutes) minutes"
        default: break
        }
        // Hours are rounded, everything above is cut.
        let hours = (whole + 1800) / 3600
        switch hours {
        case 1: return "About an hour"
        case ..<48: return "\(hours) hours"
        case ..<(24 * 7 * 2): return "\(hours / 24) days"
        case ..<(24 * 30 * 2): return "\(hours / 24 / 7) weeks"
        case ..<(24 * 365 * 2): return "\(hours / 24 / 30) months"
        default: return "\(whole / 3600 / 24 / 365) years"
        }
    }

    /// The age of a moment given in nanoseconds since 1970, with " ago".
    public static func age(ofNanoseconds moment: Int64, now: Timestamp = .now) -> String {
        duration(seconds: now.secondsSince1970 - Double(moment) / 1e9) + " ago"
    }

    /// A size in powers of 1000: "1.084MB", with `precision` significant digits.
    public static func decimalSize(_ bytes: UInt64, precision: Int = 4) -> String {
        scaled(bytes, base: 1000, units: ["B", "kB", "MB", "GB", "TB", "PB", "EB"]) { value, unit in
            String(format: "%.\(precision)g", value) + unit
        }
    }

    /// A size in powers of 1024 with one digit after the point: "1.0 MiB".
    public static func binarySize(_ bytes: UInt64) -> String {
        scaled(bytes, base: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]) { value, unit in
            String(format: "%.1f", value) + " " + unit
        }
    }

    private static func scaled(
        _ bytes: UInt64, base: Double, units: [String], _ text: (Double, String) -> String
    ) -> String {
        var value = Double(bytes)
        var unit = 0
        while value >= base, unit < units.count - 1 {
            value /= base
            unit += 1
        }
        return text(value, units[unit])
    }
}
