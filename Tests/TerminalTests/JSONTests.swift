import Core
import Testing

@testable import Terminal

@Suite struct JSONTests {
    @Test func keepsOrderNumbersAndEscapes() throws {
        let text =
            #"{"b":[1,-2.50,18446744073709551615],"a":"x\"\\\n\u00e9\ud83d\ude00\/","n":null,"t":true,"e":{},"l":[]}"#
        let value = try JSONValue(parsing: text)
        #expect(
            value.renderedCompactly()
                == #"{"b":[1,-2.50,18446744073709551615],"a":"x\"\\\né😀/","n":null,"t":true,"e":{},"l":[]}"#)
        #expect(value["a"]?.string == "x\"\\\né😀/")
    }

    @Test func rendersIndented() throws {
        let value = try JSONValue(parsing: #"{"a":{"b":[1,{}]},"c":[]}"#)
        #expect(
            value.rendered() == """
                {
                  "a": {
                    "b": [
                      1,
                      {}
                    ]
                  },
                  "c": []
                }
                """)
        #expect(value.rendered(indentation: 4).contains("\n    \"a\": {\n        \"b\": [\n"))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\" 1}", "{a:1}", "1 2", "\"\u{1}\"", "\"abc", "tru", "01x", "\"\\u12\"", "\"\\x\"", "+1",
    ])
    func badJSONIsRefusedWithItsPlace(text: String) {
        let error = #expect(throws: BerthError.self) { try JSONValue(parsing: text) }
        #expect(error?.message.hasPrefix("JSON line 1, column ") == true)
    }

    @Test func placeOfAnErrorIsLineAndColumn() {
        let error = #expect(throws: BerthError.self) { try JSONValue(parsing: "{\n  \"a\": ?\n}") }
        #expect(error?.message == "JSON line 2, column 8: unexpected character")
    }

    @Test func deepDocumentIsRefused() {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: BerthError.self) { try JSONValue(parsing: text) }
    }

    @Test func yamlTypesItsScalars() throws {
        let value = try JSONValue(
            parsingYAML: """
                name: web
                quoted: "8080"
                port: 8080
                on: true
                none: ~
                share: 0.5
                list: [a, 1]
                map: {x: y}
                """)
        #expect(
            value.renderedCompactly()
                == #"{"name":"web","quoted":"8080","port":8080,"on":true,"none":null,"share":0.5,"list":["a",1],"map":{"x":"y"}}"#
        )
        #expect(try JSONValue(parsingYAML: "") == .null)
    }

    @Test func badYAMLIsRefused() {
        let error = #expect(throws: BerthError.self) { try JSONValue(parsingYAML: "a: [1") }
        #expect(error?.message.hasPrefix("YAML: ") == true)
    }

    @Test func yamlSortsKeysAndQuotesWhatReadsAsSomethingElse() throws {
        let value = try JSONValue(parsing: #"{"z":"1","a":"true","m":[1,null,{"k":"plain text"}],"e":{},"s":""}"#)
        let text = try value.renderedYAML()
        #expect(
            text == """
                a: "true"
                e: {}
                m:
                - 1
                - null
                - k: plain text
                s: ""
                z: "1"

                """)
        #expect(try JSONValue(parsingYAML: text) == value.sorted)
    }
}
