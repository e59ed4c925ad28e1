import Testing

@testable import Terminal

@Suite struct HumanTextTests {
    private static let ages: [(seconds: Double, text: String)] = [
        (-5.0, "Less than a second"), (0.9, "Less than a second"), (1.2, "1 second"), (59.9, "59 seconds"),
        (60, "About a minute"), (119, "About a minute"), (120, "2 minutes"), (3599, "59 minutes"),
        (3600, "About an hour"), (5400, "2 hours"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"),
        (13 * 86400, "13 days"), (14 * 86400, "2 weeks"), (59 * 86400, "8 weeks"), (60 * 86400, "2 months"),
        (729 * 86400, "24 months"), (730 * 86400, "2 years"), (1e300, "31709791 years"),
    ]

    @Test(arguments: ages)
    func agesReadAsInDocker(seconds: Double, text: String) {
        #expect(HumanText.duration(seconds: seconds) == text)
    }

    @Test func ageOfAMomentEndsInAgo() {
        let now = Timestamp(seconds: 1_000_000)
        #expect(HumanText.age(ofNanoseconds: 999_880_000_000_000, now: now) == "2 minutes ago")
    }

    private static let sizes: [(bytes: UInt64, text: String)] = [
        (0, "0B"), (6, "6B"), (999, "999B"), (1000, "1kB"), (20480, "20.48kB"), (1_084_189, "1.084MB"),
        (1_798_144, "1.798MB"), (5_000_000_000, "5GB"), (UInt64.max, "18.45EB"),
    ]

    @Test(arguments: sizes)
    func decimalSizesHaveFourDigits(bytes: UInt64, text: String) {
        #expect(HumanText.decimalSize(bytes) == text)
    }

    @Test func imageSizesHaveThreeDigits() {
        #expect(HumanText.decimalSize(1_084_966, precision: 3) == "1.08MB")
        #expect(HumanText.decimalSize(742_000_000, precision: 3) == "742MB")
    }

    private static let binarySizes: [(bytes: UInt64, text: String)] = [
        (0, "0.0 B"), (1023, "1023.0 B"), (1024, "1.0 KiB"), (1_992_294, "1.9 MiB"), (5 << 30, "5.0 GiB"),
    ]

    @Test(arguments: binarySizes)
    func binarySizesHaveOneDigitAfterThePoint(bytes: UInt64, text: String) {
        #expect(HumanText.binarySize(bytes) == text)
    }
}
