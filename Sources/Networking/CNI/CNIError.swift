internal import Core
internal import OCISpec

/// What a plugin says when it fails (CNI spec 1.1, "Error").
struct CNIError: Error, Hashable {
    let code: Int
    let message: String
    let details: String

    /// - Returns: `nil` where `output` is no error in the spec's form.
    init?(output: [UInt8]) {
        guard let document = try? StrictJSON.parse(output, what: "error", limit: 1 << 20),
            case .number(let code)? = document["code"], let number = Int(code)
        else { return nil }
        self.code = number
        if case .string(let text)? = document["msg"] { message = text } else { message = "" }
        if case .string(let text)? = document["details"] { details = text } else { details = "" }
    }

    /// 11: the plugin asks for another try later.
    var berthCode: BerthError.Code {
        switch code {
        case 1, 2, 4, 7: .invalidArgument
        case 3: .notFound
        case 11, 50, 51: .unavailable
        default: .internal
        }
    }
}

extension CNIError: CustomStringConvertible {
    var description: String {
        var text = message.isEmpty ? "no message" : message
        if !details.isEmpty { text += ": \(details)" }
        return "\(text) (code \(code))"
    }
}
