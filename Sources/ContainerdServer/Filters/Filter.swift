internal import Core

/// A filter in containerd's language.
///
///     filter   := selector ("," selector)*          all of them must match
///     selector := path [("==" | "!=" | "~=") value]  without an operator: the field must be present
///     path     := field ("." field)*
///     field    := [A-Za-z] [A-Za-z0-9_]* | quoted
///     value    := quoted | any but space and comma
///     quoted   := Go string literal in double quotes, or, as a value of ~=, also between / or | as they are
///
/// Of a list of filters one has to match; an empty list matches everything.
struct Filter {
    enum Operation: String {
        case present = ""
        case equal = "=="
        case notEqual = "!="
        case matches = "~="
    }

    struct Selector {
        var path: [String]
        var operation: Operation
        var value: String
        /// Of `matches`.
        fileprivate var pattern: Regex<AnyRegexOutput>?
    }

    let selectors: [Selector]

    /// - Throws: `BerthError` (`invalidArgument`) that shows where the filter could not be understood.
    init(_ text: String) throws {
        var parser = FilterParser(text)
        selectors = try parser.filter()
    }

    /// - Parameter field: the value at a path such as `["target", "digest"]`, or nil where there is none.
    func matches(_ field: ([String]) -> String?) -> Bool {
        selectors.allSatisfy { selector in
            let value = field(selector.path)
            switch selector.operation {
            case .present: return value != nil
            case .equal: return value == selector.value
            case .notEqual: return value != selector.value
            case .matches:
                guard let pattern = selector.pattern, let value else { return false }
                return value.firstMatch(of: pattern) != nil
            }
        }
    }
}

extension Filter.Selector {
    init(path: [String], operation: Filter.Operation, value: String, filter: String) throws {
        self.path = path
        self.operation = operation
        self.value = value
        guard operation == .matches else { return }
        do {
            pattern = try Regex(value)
        } catch {
            throw BerthError(
                .invalidArgument, "filter \"\(filter)\": \"\(value)\" is not a regular expression", cause: error)
        }
    }
}

/// A list of filters, of which one has to match.
struct FilterSet {
    private let filters: [Filter]

    init(_ texts: [String]) throws {
        // Bounded since every one of them is tried on every object.
        guard texts.count <= 256 else {
            throw BerthError.invalid(field: "filters", value: texts.count, rule: "are more than 256")
        }
        filters = try texts.map { try Filter($0) }
    }

    func matches(_ field: ([String]) -> String?) -> Bool {
        filters.isEmpty || filters.contains { $0.matches(field) }
    }
}
