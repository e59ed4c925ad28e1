internal import Testing

@testable internal import Images

struct ChallengeTests {
    static let bearer = Challenge.bearer(realm: "https://a/t", service: "s", scope: "repository:x/y:pull,push")

    @Test(
        "challenges that registries send",
        arguments: [
            (["Basic realm=\"x\""], Challenge.basic),
            (["basic"], .basic),
            (["Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x/y:pull,push\""], bearer),
            (["bearer  Realm = \"https://a/t\" , SERVICE=s, scope=\"repository:x/y:pull,push\""], bearer),
            (["Bearer realm=https://a/t?x=1,service=s"], .bearer(realm: "https://a/t?x=1", service: "s", scope: nil)),
            // Several challenges, in one header and in several; bearer is preferred.
            (
                ["Basic realm=\"x, Bearer realm=no\", Bearer realm=\"https://a/t\""],
                .bearer(realm: "https://a/t", service: nil, scope: nil)
            ),
            (
                ["Bearer realm=\"https://a/t\", Basic realm=\"x\""],
                .bearer(realm: "https://a/t", service: nil, scope: nil)
            ),
            (
                ["Basic realm=\"x\"", "Bearer realm=\"https://a/t\""],
                .bearer(realm: "https://a/t", service: nil, scope: nil)
            ),
            (["Negotiate", "Basic realm=x"], .basic),
            (["Negotiate YWJj/ZA==, Basic realm=x"], .basic),
            (["Bearer realm=\"a\\\"b\\\\c\""], .bearer(realm: "a\"b\\c", service: nil, scope: nil)),
            // The first of a repeated parameter counts; a quote that does not end runs to the end.
            (["Bearer realm=\"one\",realm=\"two\""], .bearer(realm: "one", service: nil, scope: nil)),
            (["Bearer realm=\"one,service=x"], .bearer(realm: "one,service=x", service: nil, scope: nil)),
        ])
    func understood(headers: [String], expected: Challenge) {
        #expect(Challenge.parse(headers) == expected)
    }

    @Test(
        "what is no challenge that can be answered",
        arguments: [
            [], [""], [","], ["Bearer"], ["Bearer realm=\"\""], ["Bearer service=x"], ["Digest realm=\"x\""], ["=="],
            ["\""], ["\\"],
        ])
    func notUnderstood(headers: [String]) {
        #expect(Challenge.parse(headers) == nil)
    }

    @Test("any bytes are read to their end")
    func anyBytes() {
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<40)).map { _ in "=\",\\ aB/\u{7f}".utf8.randomElement() ?? 0 }
            _ = Challenge.parse([String(decoding: bytes, as: UTF8.self)])
        }
    }
}
