import Core
import Testing

@testable import Terminal

@Suite struct ListFiltersTests {
    @Test func labelsArePairs() throws {
        #expect(try ListFilters.labels(["a=1", "b=", "c=x=y"]) == ["a": "1", "b": "", "c": "x=y"])
        for bad in ["a", "=1", ""] {
            let error = #expect(throws: BerthError.self) { try ListFilters.labels([bad]) }
            #expect(error?.message == "--label: \"\(bad)\" must be KEY=VALUE")
        }
    }

    @Test func patternMatchesAnywhere() throws {
        let matches = try ListFilters.pattern("^we", field: "--name")
        #expect(matches("web") && !matches("owe"))
        #expect(try ListFilters.pattern("e", field: "--name")("web"))
        #expect(try ListFilters.pattern(nil, field: "--name")("anything"))
        #expect(throws: BerthError.self) { try ListFilters.pattern("[", field: "--name") }
    }

    @Test func newestAreCounted() {
        #expect(ListFilters.count(of: 5, latest: false, last: nil) == 5)
        #expect(ListFilters.count(of: 5, latest: true, last: nil) == 1)
        #expect(ListFilters.count(of: 5, latest: true, last: 3) == 3)
        #expect(ListFilters.count(of: 5, latest: false, last: 0) == 5)
        #expect(ListFilters.count(of: 0, latest: true, last: nil) == 0)
    }

    @Test func idIsFoundByItsBeginning() throws {
        let ids = ["abc1", "abd2", "abc1d"]
        #expect(try ListFilters.id(matching: "abd", among: ids, kind: "pod") == "abd2")
        #expect(try ListFilters.id(matching: "abc1", among: ids, kind: "pod") == "abc1")
        let ambiguous = #expect(throws: BerthError.self) { try ListFilters.id(matching: "ab", among: ids, kind: "pod") }
        #expect(ambiguous?.message == "pod id: \"ab\" is ambiguous: 3 begin with it, such as abc1, abd2, abc1d")
        let missing = #expect(throws: BerthError.self) { try ListFilters.id(matching: "x", among: ids, kind: "pod") }
        #expect(missing?.code == .notFound)
        #expect(throws: BerthError.self) { try ListFilters.id(matching: "", among: ids, kind: "pod") }
    }

    @Test func referencesAreSplitIntoColumns() {
        let tags = RepositoryNames.tags(["docker.io/library/busybox:local", "localhost:5000/a/b:1"], repository: "x")
        #expect(tags.map(\.repository) == ["docker.io/library/busybox", "localhost:5000/a/b"])
        #expect(tags.map(\.tag) == ["local", "1"])
        #expect(
            RepositoryNames.tags([], repository: "docker.io/a").map { "\($0.repository) \($0.tag)" } == [
                "docker.io/a <none>"
            ])
        #expect(RepositoryNames.digest(["docker.io/a@sha256:1"]) == ("docker.io/a", "sha256:1"))
        #expect(RepositoryNames.digest([]) == ("<none>", "<none>"))
    }

    @Test func credentialsKeepTheirSecretOutOfErrors() throws {
        #expect(try Credentials(parsing: "me:a:b", field: "--creds").password == "a:b")
        #expect(try Credentials(parsing: "me", field: "--creds").password == "")
        let error = #expect(throws: BerthError.self) { try Credentials(parsing: ":secret", field: "--creds") }
        #expect(error.map { !"\($0)".contains("secret") } == true)
    }
}
