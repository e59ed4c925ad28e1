internal import Foundation
internal import Synchronization

/// An HTTP server on 127.0.0.1 that answers what a test wants, however wrong. Each connection carries one request.
final class ScriptedServer: Sendable {
    struct Request: Sendable {
        let method: String
        /// Without the query.
        let path: String
        let query: String
        /// By lower-case name.
        let headers: [String: String]
        let body: [UInt8]
    }

    struct Reply: Sendable {
        enum Ending: Sendable {
            /// As announced.
            case whole
            /// The connection ends after the body, whatever was announced.
            case cut
            /// Body after body, with no end.
            case endless
            /// Head and then the body, a byte every 10 ms.
            case drip
            /// Nothing comes, not even a head.
            case silent
            /// Head and body, and then nothing, though more was announced.
            case stuck
        }

        var status = 200
        var reason = "Whatever"
        var headers: [(String, String)] = []
        /// Spaces before the body, which need no memory.
        var padding = 0
        var body: [UInt8] = []
        /// Content-Length, if not that of the body.
        var announced: Int?
        var ending = Ending.whole

        static func text(_ status: Int, _ text: String, _ headers: [(String, String)] = []) -> Reply {
            Reply(status: status, headers: headers, body: Array(text.utf8))
        }
    }

    let port: UInt16
    private let listener: Int32
    private let seen = Mutex<[Request]>([])
    private let connections = Mutex<Set<Int32>>([])
    private let stopped = Atomic(false)
    private let answer: @Sendable (Request) -> Reply

    init(_ answer: @escaping @Sendable (Request) -> Reply) throws {
        self.answer = answer
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) | listen(listener, 64) | getsockname(listener, $0, &length)
            }
        }
        guard result == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0, let self else {
                    close(listener)
                    return
                }
                self.connections.withLock { _ = $0.insert(connection) }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    deinit { stop() }

    var host: String { "127.0.0.1:\(port)" }

    var requests: [Request] { seen.withLock { $0 } }

    /// Requests whose path ends so.
    func requests(to suffix: String) -> [Request] { requests.filter { $0.path.hasSuffix(suffix) } }

    /// Ends all connections too.
    func stop() {
        guard stopped.exchange(true, ordering: .relaxed) == false else { return }
        // The accepting thread closes it, when nobody uses the number any more.
        shutdown(listener, Int32(SHUT_RDWR))
        connections.withLock { for connection in $0 { shutdown(connection, Int32(SHUT_RDWR)) } }
    }

    private func serve(_ connection: Int32) {
        defer {
            connections.withLock { _ = $0.remove(connection) }
            close(connection)
        }
        guard var request = read(connection) else { return }
        seen.withLock { $0.append(request) }
        if request.method == "CONNECT" {
            // A proxy: what comes through it is for the one that the test plays.
            guard send(connection, Array("HTTP/1.1 200 Connected\r\n\r\n".utf8)), let inner = read(connection) else {
                return
            }
            seen.withLock { $0.append(inner) }
            request = inner
        }
        let reply = answer(request)
        if reply.ending == .silent {
            waitForEnd(of: connection)
            return
        }
        var head = "HTTP/1.1 \(reply.status) \(reply.reason)\r\nConnection: close\r\n"
        let length = reply.announced ?? reply.padding + reply.body.count
        if reply.ending != .endless { head += "Content-Length: \(length)\r\n" }
        for (name, value) in reply.headers { head += "\(name): \(value)\r\n" }
        guard send(connection, Array((head + "\r\n").utf8)) else { return }
        if reply.ending == .drip {
            for byte in reply.body where !stopped.load(ordering: .relaxed) {
                guard send(connection, [byte]) else { return }
                usleep(10_000)
            }
            return
        }
        guard request.method != "HEAD" else { return }
        let spaces = [UInt8](repeating: 0x20, count: min(reply.padding, 1 << 16))
        var padding = reply.padding
        while padding > 0 {
            guard send(connection, Array(spaces.prefix(padding))) else { return }
            padding -= min(padding, spaces.count)
        }
        guard send(connection, reply.body) else { return }
        if reply.ending == .stuck { waitForEnd(of: connection) }
        // A client that is told of a broken connection may drop what it has not read yet.
        if reply.ending == .cut { usleep(300_000) }
        if reply.ending == .endless {
            let more = reply.body.isEmpty ? [UInt8](repeating: 0x20, count: 1 << 16) : reply.body
            while send(connection, more) {}
        }
    }

    private func waitForEnd(of connection: Int32) {
        var byte: UInt8 = 0
        _ = recv(connection, &byte, 1, 0)
    }

    private func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // Among bytes: in a string, a body that begins with a combining mark would hide the end of the head.
            if let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
                let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
                let headers = Dictionary(
                    lines.dropFirst().map { line in
                        let parts = line.split(separator: ":", maxSplits: 1)
                        return (
                            parts[0].lowercased(), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
                        )
                    }, uniquingKeysWith: { first, _ in first })
                if bytes.count - end.upperBound >= Int(headers["content-length"] ?? "0") ?? 0 {
                    let words = lines[0].split(separator: " ")
                    guard words.count == 3 else { return nil }
                    let target = words[1].split(separator: "?", maxSplits: 1)
                    return Request(
                        method: String(words[0]), path: String(target[0]),
                        query: target.count > 1 ? String(target[1]) : "",
                        headers: headers, body: Array(bytes[end.upperBound...]))
                }
            }
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            bytes += buffer[..<count]
        }
    }

    private func send(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
