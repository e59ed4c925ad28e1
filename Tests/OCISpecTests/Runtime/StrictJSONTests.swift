internal import Core
@testable internal import OCISpec
internal import Testing

@Suite struct StrictJSONTests {
    struct Document: Codable, Equatable {
        struct Item: Codable, Equatable {
            var name: String
            var count: UInt64?
        }
        var items: [Item]
        var flags: [String: Bool]?
        var ratio: Double?
    }

    private func decode(_ text: String) throws -> Document {
        try StrictJSON.decode(Document.self, from: Array(text.utf8), what: "document")
    }

    @Test func whatIsEncodedIsDecoded() throws {
        let document = Document(
            items: [.init(name: "a\"\\\n\u{1}é🙂", count: UInt64.max), .init(name: "", count: nil)], flags: ["x": true],
            ratio: 1.5)
        for pretty in [false, true] {
            let bytes = try StrictJSON.encode(document, pretty: pretty)
            #expect(try decode(String(decoding: bytes, as: UTF8.self)) == document)
        }
    }

    @Test func keysAreSortedAndPrettyIsIndented() throws {
        let bytes = try StrictJSON.encode(["b": [1, 2], "a": []], pretty: true)
        #expect(String(decoding: bytes, as: UTF8.self) == "{\n  \"a\": [],\n  \"b\": [\n    1,\n    2\n  ]\n}")
    }

    @Test func unsortedKeysStandAsDeclaredAndThoseOfADictionaryByName() throws {
        let document = Document(items: [.init(name: "n", count: 1)], flags: ["z": true, "a": false])
        let bytes = try StrictJSON.encode(document, sorted: false)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"items":[{"name":"n","count":1}],"flags":{"a":false,"z":true}}"#)
    }

    @Test func aUserHasZerosForWhatIsLeftOut() throws {
        let user = try StrictJSON.decode(RuntimeSpec.Process.User.self, from: Array("{\"uid\": 5}".utf8), what: "user")
        #expect(user.uid == 5 && user.gid == 0)
    }

    @Test(arguments: [
        (#"{"items": [{"name": 1}]}"#, "document: items[0].name: must be a string, not a number"),
        (#"{"items": [{}]}"#, "document: items[0].name: is missing"),
        (#"{"items": {}}"#, "document: items: must be an array, not an object"),
        (#"{"items": [{"name": "a", "count": -1}]}"#, "document: items[0].count: -1 is no integer from 0 to"),
        (#"{"items": [{"name": "a", "count": 18446744073709551616}]}"#, "is no integer from 0 to"),
        (#"{"items": [], "items": []}"#, "has the key \"items\" twice in one object"),
        (#"{"items": []"#, "ends too early"),
        (#"{"items": []} x"#, "has text after its end"),
        (#"{"items": [01]}"#, "lacks a comma or closing bracket"),
        (#"{"items": ["\ud800"]}"#, "half of a surrogate pair"),
        (#"{"items": ["\x"]}"#, "has an unknown escape"),
        ("{\"items\": [\"\u{1}\"]}", "has a control character"),
        ("", "ends too early"),
        ("nul", "has an unexpected character"),
    ])
    func errorsNameTheFieldOrThePlace(text: String, problem: String) throws {
        let error = #expect(throws: BerthError.self) { try decode(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
    }

    @Test func invalidUTF8IsRefused() {
        let bytes = Array(#"{"items": [{"name": ""#.utf8) + [0xff] + Array(#""}]}"#.utf8)
        #expect(throws: BerthError.self) { try StrictJSON.decode(Document.self, from: bytes, what: "document") }
    }

    @Test func depthAndSizeAreBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: BerthError.self) { try decode(deep) }
        #expect(throws: BerthError.self) {
            try StrictJSON.decode(Document.self, from: Array(#"{"items": []}"#.utf8), what: "document", limit: 5)
        }
    }

    @Test func manyKeysOfOneObjectAreCheckedToo() throws {
        let members = (0..<1000).map { "\"k\($0)\": 1" }
        let good = "{" + members.joined(separator: ",") + "}"
        #expect(try StrictJSON.decode([String: Int].self, from: Array(good.utf8), what: "object").count == 1000)
        let bad = "{" + (members + ["\"k3\": 1"]).joined(separator: ",") + "}"
        #expect(throws: BerthError.self) {
            try StrictJSON.decode([String: Int].self, from: Array(bad.utf8), what: "object")
        }
    }

    @Test func unknownFieldsAreIgnoredAndNullIsAbsent() throws {
        #expect(try decode(#"{"items": [], "later": {"x": [1, null]}, "ratio": null}"#).items == [])
    }

    @Test func escapesBecomeTheirCharacters() throws {
        let document = try decode(#"{"items": [{"name": "\u00e9\ud83d\ude42\/\t\b"}]}"#)
        #expect(document.items[0].name == "é🙂/\t\u{8}")
    }

    /// An error of a type's own initializer gets the path of its field.
    @Test func errorsOfValuesGetTheirPath() throws {
        let error = #expect(throws: BerthError.self) {
            try StrictJSON.decode(
                [String: [Digest]].self, from: Array(#"{"a": ["sha256:xyz"]}"#.utf8), what: "document")
        }
        #expect(error?.message.hasPrefix("document: a[0]: ") == true)
    }
}
