import Core
import Testing

@testable import Engine

private struct Texts: ImageFiles {
    var files: [String: String]

    func read(_ path: String, limit: Int) throws -> [UInt8]? { files[path].map { Array($0.utf8) } }
}

@Suite("Users of an image") struct UserResolverTests {
    private let resolver = UserResolver(
        files: Texts(files: [
            "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:1000:1001:Web:/srv/web:/bin/false\n",
            "/etc/group": "root:x:0:\nweb:x:1001:\nlogs:x:50:web,other\ntape:x:60:web\n",
        ]))

    private func resolve(
        _ imageUser: String = "", _ change: (inout ContainerSecurityContext) -> Void = { _ in }
    ) throws -> ContainerUser {
        var security = ContainerSecurityContext()
        change(&security)
        return try resolver.resolve(security, imageUser: imageUser)
    }

    @Test(arguments: [
        ("", 0, 0, [0]), ("web", 1000, 1001, [1001, 50, 60]), ("1000", 1000, 1001, [1001, 50, 60]),
        ("web:logs", 1000, 50, [50, 60]),
        ("4000", 4000, 0, [0]), ("4000:5000", 4000, 5000, [5000]), (":logs", 0, 50, [50]),
    ])
    func theImagesUserIsANameOrANumber(text: String, uid: UInt32, gid: UInt32, groups: [UInt32]) throws {
        #expect(try resolve(text) == ContainerUser(uid: uid, gid: gid, additionalGIDs: groups))
    }

    @Test func theConfigsUserComesFirst() throws {
        #expect(
            try resolve("root") { $0.runAsUser = 1000 }
                == ContainerUser(uid: 1000, gid: 1001, additionalGIDs: [1001, 50, 60]))
        #expect(try resolve("root") { $0.runAsUsername = "web" }.uid == 1000)
        #expect(
            try resolve("web") {
                $0.runAsUser = 7
                $0.runAsGroup = 8
            } == ContainerUser(uid: 7, gid: 8, additionalGIDs: [8]))
    }

    @Test func supplementalGroupsAreAddedToTheImagesUnlessStrict() throws {
        #expect(try resolve("web") { $0.supplementalGroups = [90, 50] }.additionalGIDs == [1001, 50, 60, 90])
        #expect(
            try resolve("web") {
                $0.supplementalGroups = [90]
                $0.supplementalGroupsPolicy = .strict
            }.additionalGIDs == [1001, 90])
    }

    @Test func anUnknownNameIsAnErrorThatNamesIt() throws {
        #expect(try #require(throws: BerthError.self) { try resolve("nobody") }.message.contains("nobody"))
        #expect(try #require(throws: BerthError.self) { try resolve("web:wheel") }.message.contains("wheel"))
    }

    @Test func aGroupWithoutAUserIsRefused() throws {
        #expect(throws: BerthError.self) { try resolve { $0.runAsGroup = 5 } }
    }

    @Test func theHomeIsTheEntrys() throws {
        #expect(try resolver.home(of: 1000) == "/srv/web")
        #expect(try resolver.home(of: 4000) == "/")
        #expect(try UserResolver(files: Texts(files: [:])).home(of: 0) == "/root")
    }
}
