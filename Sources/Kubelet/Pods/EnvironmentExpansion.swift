/// `$(NAME)` references in commands, arguments and values: `$$` is a dollar sign, and what is unknown stays as it is.
enum EnvironmentExpansion {
    static func expand(_ text: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            switch rest.first {
            case "$":
                result += "$"
                rest = rest.dropFirst()
            case "(":
                guard let end = rest.firstIndex(of: ")") else {
                    result += "$("
                    rest = rest.dropFirst()
                    continue
                }
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                result += values[name] ?? "$(\(name))"
                rest = rest[rest.index(after: end)...]
            default:
                result += "$"
            }
        }
        return result + rest
    }

    /// The variables of a container in their order, each expanded with those before it.
    static func environment(
        _ container: Container, _ downward: DownwardFields
    ) -> [(name: String, value: String)] {
        var values: [String: String] = [:]
        var order: [String] = []
        for variable in container.env ?? [] {
            let value =
                if let field = variable.valueFrom?.fieldRef {
                    downward.value(of: field)
                } else if let resource = variable.valueFrom?.resourceFieldRef {
                    downward.value(of: resource, in: container)
                } else {
                    expand(variable.value ?? "", values)
                }
            if values.updateValue(value, forKey: variable.name) == nil { order.append(variable.name) }
        }
        return order.compactMap { name in values[name].map { (name, $0) } }
    }
}
