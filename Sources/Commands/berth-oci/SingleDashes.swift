/// Go's flag parser, which reads runc's command line, takes one dash for two: containerd's shim writes `-no-subreaper`.
enum SingleDashes {
    /// What stands behind the container's ID of these is another program's; their options without a value.
    private static let flags = [
        "exec": ["-t", "--tty", "-d", "--detach", "--no-new-privs", "--ignore-paused", "--no-subreaper"],
        "ps": [],
    ]

    /// - Returns: the arguments of `verb` with two dashes where one stood before a name of three letters or more.
    static func doubled(_ arguments: [String], of verb: String) -> [String] {
        var doubled: [String] = []
        var isValue = false
        for (index, argument) in arguments.enumerated() {
            guard argument != "--" else { return doubled + arguments[index...] }
            guard argument.hasPrefix("-") else {
                if !isValue, flags[verb] != nil { return doubled + arguments[index...] }
                doubled.append(argument)
                isValue = false
                continue
            }
            let name = argument.dropFirst().prefix { $0 != "=" }
            let isLong = name.count >= 3 && name.first?.isLetter == true
            doubled.append(isLong ? "-" + argument : argument)
            isValue = !argument.contains("=") && flags[verb]?.contains(doubled[index]) == false
        }
        return doubled
    }
}
