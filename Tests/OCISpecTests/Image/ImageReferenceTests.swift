import Core
import OCISpec
import Testing

struct ImageReferenceTests {
    static let hex = String(repeating: "ab", count: 32)

    @Test(
        "names are completed as Docker does",
        arguments: [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.25", "docker.io/library/nginx:1.25"),
            ("library/nginx", "docker.io/library/nginx:latest"),
            ("user/app:v1", "docker.io/user/app:v1"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
            ("quay.io/a/b/c:x", "quay.io/a/b/c:x"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("HOST/app", "HOST/app:latest"),
            ("a__b/c-d.e:T_1.-x", "docker.io/a__b/c-d.e:T_1.-x"),
            ("a---b", "docker.io/library/a---b:latest"),
            ("nginx@sha256:\(hex)", "docker.io/library/nginx@sha256:\(hex)"),
            ("nginx:1@sha256:\(hex)", "docker.io/library/nginx:1@sha256:\(hex)"),
        ])
    func normalizes(text: String, expected: String) throws {
        #expect(try ImageReference(text).withDefaultTag.description == expected)
    }

    @Test(
        "malformed references are refused",
        arguments: [
            "", " ", "nginx ", "Nginx", "docker.io/", "/nginx", "nginx:", "nginx:-x", "nginx:.x", "a/../b", "a//b",
            "a/b/",
            "nginx@", "nginx@sha256:12", "nginx@md5:\(hex)", "-a", "a-", "a..b", "a___b", "a._b", "host:port/app",
            "host:99999/app", "[::1/app", "[zz]:1/app", "h_st.io/app", hex, "nginx\nx", "nginx\u{0}", "näme",
            String(repeating: "a", count: 256), "a:" + String(repeating: "t", count: 129),
        ])
    func refuses(text: String) {
        let error = #expect(throws: BerthError.self) { try ImageReference(text).withDefaultTag }
        #expect(error?.code == .invalidArgument)
    }
}
