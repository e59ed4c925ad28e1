import Core
import Glibc
import LinuxKernel
import OCISpec
import Synchronization
import SystemPackage

/// An HTTP server on 127.0.0.1 that answers as a test tells it to: the registries that no honest registry would be.
final class FakeRegistry: Sendable {
    struct Request: Sendable {
        let method: String
        /// With the query.
        let target: String
        let headers: [String: String]
        let body: String
    }

    struct Response: Sendable {
        var status = 200
        var headers: [(String, String)] = []
        var body: [UInt8] = []
        /// Announced instead of the body's true length.
        var contentLength: Int?
        /// Bytes of the body that are sent before the connection is cut.
        var cutAfter: Int?
        /// Pause between pieces of 64 bytes.
        var drip: Duration?

        static func ok(_ body: [UInt8], type: MediaType? = nil) -> Response {
            Response(headers: type.map { [("Content-Type", $0.rawValue)] } ?? [], body: body)
        }

        static func status(_ status: Int, _ headers: (String, String)...) -> Response {
            Response(status: status, headers: headers)
        }
    }

    let port: Int
    private let listener: OwnedDescriptor
    private let handler: @Sendable (Request) -> Response
    private let log = Mutex<[Request]>([])

    /// What has been asked so far.
    var requests: [Request] { log.withLock { $0 } }

    init(_ handler: @escaping @Sendable (Request) -> Response) throws {
        self.handler = handler
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        listener = OwnedDescriptor(rawValue: descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                if bind(descriptor, address, length) != 0 { return Int32(-1) }
                return getsockname(descriptor, address, &length)
            }
        }
        guard result == 0, listen(descriptor, 64) == 0 else { throw Errno(rawValue: errno) }
        port = Int(UInt16(bigEndian: address.sin_port))
        let server = Server(registry: self)
        try BlockingWork.start { server.run(descriptor) }
    }

    func stop() {
        shutdown(listener.rawValue, Int32(SHUT_RDWR))
        listener.close()
    }

    deinit { stop() }

    /// Holds the registry weakly, so that letting go of it stops the server.
    private final class Server: @unchecked Sendable {
        weak var registry: FakeRegistry?

        init(registry: FakeRegistry) { self.registry = registry }

        func run(_ descriptor: Int32) {
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                try? BlockingWork.start {
                    self.serve(connection)
                    close(connection)
                }
            }
        }

        private func serve(_ connection: Int32) {
            var received: [UInt8] = []
            while let request = readRequest(connection, &received) {
                guard let registry else { return }
                registry.log.withLock { $0.append(request) }
                guard send(registry.handler(request), to: connection, head: request.method == "HEAD") else { return }
            }
        }

        private func readRequest(_ connection: Int32, _ received: inout [UInt8]) -> Request? {
            let end = Array("\r\n\r\n".utf8)
            while true {
                if let range = received.firstRange(of: end) {
                    let lines = String(decoding: received[..<range.lowerBound], as: UTF8.self).split(separator: "\r\n")
                    let parts = lines.first?.split(separator: " ") ?? []
                    guard parts.count == 3 else { return nil }
                    var headers: [String: String] = [:]
                    for line in lines.dropFirst() {
                        let pair = line.split(separator: ":", maxSplits: 1)
                        if pair.count == 2 { headers[pair[0].lowercased()] = pair[1].trimmingPrefix(" ").description }
                    }
                    let length = headers["content-length"].flatMap { Int($0) } ?? 0
                    while received.count < range.upperBound + length { guard more(connection, &received) else { return nil } }
                    let body = String(decoding: received[range.upperBound..<range.upperBound + length], as: UTF8.self)
                    received.removeSubrange(..<(range.upperBound + length))
                    return Request(method: String(parts[0]), target: String(parts[1]), headers: headers, body: body)
                }
                guard more(connection, &received) else { return nil }
            }
        }

        private func more(_ connection: Int32, _ received: inout [UInt8]) -> Bool {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(connection, &buffer, buffer.count, 0)
            if count > 0 { received += buffer[..<count] }
            return count > 0
        }

        /// - Returns: whether the connection can be used further.
        private func send(_ response: Response, to connection: Int32, head: Bool) -> Bool {
            var text = "HTTP/1.1 \(response.status) Status\r\n"
            for (name, value) in response.headers { text += "\(name): \(value)\r\n" }
            text += "Content-Length: \(response.contentLength ?? response.body.count)\r\n\r\n"
            guard write(Array(text.utf8), connection) else { return false }
            if head { return true }
            let body = response.cutAfter.map { Array(response.body.prefix($0)) } ?? response.body
            if let drip = response.drip {
                for start in stride(from: 0, to: body.count, by: 64) {
                    usleep(UInt32(drip.components.attoseconds / 1_000_000_000_000))
                    guard write(Array(body[start..<min(start + 64, body.count)]), connection) else { return false }
                }
            } else {
                guard write(body, connection) else { return false }
            }
            return response.cutAfter == nil && (response.contentLength ?? body.count) == body.count
        }

        private func write(_ bytes: [UInt8], _ connection: Int32) -> Bool {
            var start = 0
            while start < bytes.count {
                let count = bytes.withUnsafeBytes { buffer in
                    Glibc.send(
                        connection, buffer.baseAddress.map { $0 + start }, bytes.count - start, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                start += count
            }
            return true
        }
    }
}

/// An image in memory, for a fake registry to serve.
struct TestImage: Sendable {
    let layer: [UInt8]
    let config: [UInt8]
    let manifest: [UInt8]
    let manifestDigest: Digest
    let blobs: [String: [UInt8]]

    init(files: Int = 3, size: Int = 100) throws {
        layer = try TestTar.make { tar in
            for number in 0..<files { try tar.file("f\(number)", String(repeating: "x", count: size)) }
        }
        let layerDigest = try Digest.of(layer)
        config = try StrictJSON.encode(ImageConfig(rootfs: .init(diffIDs: [layerDigest])))
        let configDigest = try Digest.of(config)
        manifest = try StrictJSON.encode(
            Manifest(
                config: Descriptor(mediaType: .imageConfig, digest: configDigest, size: Int64(config.count)),
                layers: [Descriptor(mediaType: .layer, digest: layerDigest, size: Int64(layer.count))]))
        manifestDigest = try Digest.of(manifest)
        blobs = ["\(layerDigest)": layer, "\(configDigest)": config]
    }

    var layerDigest: Digest { get throws { try Digest.of(layer) } }

    /// What an honest registry says.
    func answer(_ request: FakeRegistry.Request) -> FakeRegistry.Response {
        if request.target.contains("/manifests/") { return .ok(manifest, type: .imageManifest) }
        guard let name = request.target.split(separator: "/").last, let blob = blobs[String(name)] else { return .status(404) }
        guard let range = request.headers["range"], range.hasPrefix("bytes="),
            let start = Int(range.dropFirst(6).prefix { $0 != "-" }), start < blob.count
        else { return .ok(blob) }
        var response = FakeRegistry.Response.ok(Array(blob[start...]))
        response.status = 206
        response.headers.append(("Content-Range", "bytes \(start)-\(blob.count - 1)/\(blob.count)"))
        return response
    }
}
