internal import Core

/// A resource quantity of the Kubernetes API: a decimal number with an SI, binary or exponent suffix.
///
/// Held exactly, in billionths; what is smaller is rounded away from zero, as Kubernetes does.
struct Quantity: Equatable, Sendable {
    /// The amount times 10^9.
    let billionths: Int128
    /// As it was written.
    let text: String

    /// Largest amount: 2^63 - 1, as in Kubernetes.
    private static let limit = Int128(Int64.max) * 1_000_000_000

    init(_ text: String) throws {
        guard let billionths = Quantity.parse(text) else {
            throw BerthError.invalid(
                field: "quantity", value: text.prefix(64),
                rule: "must be a number with an optional suffix such as m, k, M, G, Ki, Mi, Gi or e3")
        }
        self.billionths = min(billionths, Quantity.limit)
        self.text = text
    }

    init(billionths: Int128) {
        self.billionths = min(billionths, Quantity.limit)
        let (whole, rest) = self.billionths.quotientAndRemainder(dividingBy: 1_000_000_000)
        text = rest == 0 ? "\(whole)" : "\(self.billionths)n"
    }

    /// The amount in units, rounded up.
    var units: Int64 { roundedUp(to: 1_000_000_000) }
    /// The amount in thousandths (CPU: millicores), rounded up.
    var thousandths: Int64 { roundedUp(to: 1_000_000) }

    func roundedUp(to unit: Int128) -> Int64 {
        let (whole, rest) = billionths.quotientAndRemainder(dividingBy: unit)
        return Int64(clamping: rest > 0 ? whole + 1 : whole)
    }

    private static let binary: [String: Int] = ["Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60]
    private static let decimal: [String: Int] = [
        "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
    ]

    private static func parse(_ text: String) -> Int128? {
        var rest = Substring(text)
        guard text.utf8.count <= 64 else { return nil }
        let negative = rest.first == "-"
        if rest.first == "-" || rest.first == "+" { rest = rest.dropFirst() }

        let whole = rest.prefix(while: \.isASCIIDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: Substring = ""
        if rest.first == "." {
            rest = rest.dropFirst()
            fraction = rest.prefix(while: \.isASCIIDigit)
            rest = rest.dropFirst(fraction.count)
        }
        guard !(whole.isEmpty && fraction.isEmpty) else { return nil }

        let suffix = String(rest)
        if let bits = binary[suffix] {
            guard let amount = scaled(whole, fraction, exponent: 9) else { return nil }
            let (product, overflow) = amount.multipliedReportingOverflow(by: Int128(1) << Int128(bits))
            guard !overflow else { return nil }
            return negative ? -product : product
        }
        let exponent: Int
        if let known = decimal[suffix] {
            exponent = known
        } else if let first = rest.first, first == "e" || first == "E", let power = Int(rest.dropFirst()),
            abs(power) <= 30
        {
            exponent = power
        } else {
            return nil
        }
        guard let amount = scaled(whole, fraction, exponent: 9 + exponent) else { return nil }
        return negative ? -amount : amount
    }

    /// `whole.fraction` times 10^exponent, rounded away from zero; `nil` on overflow.
    private static func scaled(_ whole: Substring, _ fraction: Substring, exponent: Int) -> Int128? {
        var digits = String(whole) + String(fraction)
        var power = exponent - fraction.count
        var roundUp = false
        while power < 0 {
            guard let last = digits.popLast() else { break }
            if last != "0" { roundUp = true }
            power += 1
        }
        var amount: Int128 = digits.isEmpty ? 0 : (Int128(digits) ?? -1)
        guard amount >= 0 else { return nil }
        for _ in 0..<max(power, 0) {
            let (next, overflow) = amount.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            amount = next
        }
        return roundUp ? amount + 1 : amount
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isWholeNumber }
}

extension Quantity: CustomStringConvertible {
    var description: String { text }
}

extension Quantity: Codable {
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text: String
        if let string = try? container.decode(String.self) {
            text = string
        } else if let integer = try? container.decode(Int64.self) {
            text = "\(integer)"
        } else {
            text = "\(try container.decode(Double.self))"
        }
        do {
            try self.init(text)
        } catch let error as BerthError {
            let message = error.message.replacing(
                "quantity: ", with: "\(FieldPath(decoder.codingPath)): ", maxReplacements: 1)
            throw BerthError(.invalidArgument, message)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// A port by number or by the name of a container port.
enum IntOrString: Equatable, Sendable, Codable {
    case integer(Int64)
    case string(String)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let integer = try? container.decode(Int64.self) {
            self = .integer(integer)
        } else {
            self = .string(try container.decode(String.self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .integer(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        }
    }
}
