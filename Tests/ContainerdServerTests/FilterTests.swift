import Core
import Testing

@testable import ContainerdServer

@Suite("Filters") struct FilterTests {
    private func matches(_ filter: String, _ fields: [String: String]) throws -> Bool {
        try Filter(filter).matches { fields[$0.joined(separator: ".")] }
    }

    @Test(arguments: [
        ("name==a", true), ("name!=a", false), ("name==b", false), ("name!=b", true),
        ("name==a,labels.x==1", true), ("name==a,labels.x==2", false), ("name", true), ("labels.y", false),
        ("labels.y!=1", true), ("labels.\"a.b/c\"==z", true), ("name~=^a$", true), ("name~=/^[ab]$/", true),
        ("path~=|^/x/|", true), ("path~=/^\\/x/", true), ("name ~= \"^b\"", false), ("name == \"a\" , labels.x", true),
        ("", true), ("  ", true), ("labels.quoted==\"say \\\"hi\\\"\\u0021\"", true), ("labels.y~=.", false),
    ])
    func selects(_ filter: String, expected: Bool) throws {
        let fields = [
            "name": "a", "labels.x": "1", "labels.a.b/c": "z", "path": "/x/y", "labels.quoted": "say \"hi\"!",
        ]
        #expect(try matches(filter, fields) == expected)
    }

    @Test(arguments: [
        ("name=a", "expected ==, != or ~= at \"name|=a\""), ("==a", "expected a field name"),
        ("name==", "expected a value"), ("name==a,", "expected a field name"),
        ("name==\"a", "expected a closing quote"),
        ("name.==a", "expected a field name"), ("1a==b", "expected a field name"), ("name~=/a", "expected a closing /"),
        ("name==\"\\q\"", "unknown escape sequence \\q"), ("name==a b", "expected \",\""),
        ("name==\"\\u12\"", "malformed escape sequence"), ("name==\"\\UFFFFFFFF\"", "malformed escape sequence"),
    ])
    func refuses(_ filter: String, message: String) throws {
        let error = #expect(throws: BerthError.self) { try Filter(filter) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func refusesAMalformedExpression() {
        let error = #expect(throws: BerthError.self) { try Filter("name~=\"(\"") }
        #expect(error?.message.contains("is not a regular expression") == true)
    }

    @Test func refusesAFilterWithoutBound() {
        #expect(throws: BerthError.self) { try Filter("name==" + String(repeating: "a", count: 20_000)) }
        #expect(throws: BerthError.self) { try FilterSet(Array(repeating: "name", count: 300)) }
    }

    @Test func oneOfSeveralFiltersIsEnough() throws {
        let set = try FilterSet(["name==a", "name==b"])
        #expect(set.matches { _ in "b" })
        #expect(!set.matches { _ in "c" })
        #expect(try FilterSet([]).matches { _ in nil })
    }
}
