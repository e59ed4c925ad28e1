import Core
import LinuxKernel
import NRIAPI
import SwiftProtobuf
import Synchronization
import SystemPackage

@testable import NRI

/// A plugin at the other end of a socket: it answers what a test tells it to, and remembers what it was asked.
final class ScriptedPlugin: Sendable {
    typealias Answer = Result<any Message & Sendable, TTRPCStatus>
    typealias Script = @Sendable (_ method: String, _ payload: [UInt8]) async -> Answer

    private let socket: OwnedDescriptor
    private let script: Script
    private let log = Mutex<[String]>([])
    private let received = Mutex<[String: [UInt8]]>([:])
    private let ended = Mutex(false)

    var calls: [String] { log.withLock { $0 } }
    var isClosed: Bool { ended.withLock { $0 } }

    init(_ socket: OwnedDescriptor, _ script: @escaping Script = { _, _ in .success(NRIEmpty()) }) {
        self.socket = socket
        self.script = script
        Task { await self.read() }
    }

    /// The last request of a method.
    func request<Request: Message>(_ method: String, as: Request.Type) throws -> Request {
        try Request(serializedBytes: received.withLock { $0[method] ?? [] })
    }

    func register(index: String, name: String) throws {
        let request = NRIRegisterPluginRequest.with {
            $0.pluginIdx = index
            $0.pluginName = name
        }
        try call("RegisterPlugin", request, stream: 1)
    }

    func call(_ method: String, _ request: some Message, stream: UInt32) throws {
        let call = try TTRPCRequest.with {
            $0.service = "nri.pkg.api.v1alpha1.Runtime"
            $0.method = method
            $0.payload = .init(try request.serializedBytes() as [UInt8])
        }
        let frame = TTRPCFrame(stream: stream, kind: .request, data: try call.serializedBytes())
        try send(Multiplexing.encode(frame.encoded(), on: Multiplexing.runtimeService))
    }

    func send(_ bytes: [UInt8]) throws {
        try Syscall.send(bytes, to: socket.fd)
    }

    func close() { socket.close() }

    private func read() async {
        var incoming = Demultiplexer()
        var decoders = [Multiplexing.pluginService: TTRPCDecoder(), Multiplexing.runtimeService: TTRPCDecoder()]
        do {
            while true {
                try await Poller.shared.readable(socket.fd)
                let bytes = try Syscall.receive(from: socket.fd, limit: 64 << 10).bytes
                guard !bytes.isEmpty else { break }
                incoming.append(bytes)
                while let (connection, piece) = try incoming.next() {
                    decoders[connection]?.append(piece)
                    while case .frame(let frame)? = try decoders[connection]?.next() {
                        if frame.kind == .request { try await answer(frame) } else { note(frame) }
                    }
                }
            }
        } catch {}
        ended.withLock { $0 = true }
    }

    private func note(_ frame: TTRPCFrame) {
        let response = (try? TTRPCResponse(serializedBytes: frame.data)) ?? TTRPCResponse()
        log.withLock { $0.append("answer \(frame.stream): \(response.status.code) \(response.status.message)") }
        received.withLock { $0["answer \(frame.stream)"] = Array(response.payload) }
    }

    private func answer(_ frame: TTRPCFrame) async throws {
        let request = try TTRPCRequest(serializedBytes: frame.data)
        log.withLock { $0.append(request.method) }
        received.withLock { $0[request.method] = Array(request.payload) }
        var response = TTRPCResponse()
        switch await script(request.method, Array(request.payload)) {
        case .success(let message): response.payload = .init(try message.serializedBytes() as [UInt8])
        case .failure(let status): response.status = status
        }
        let back = TTRPCFrame(stream: frame.stream, kind: .response, data: try response.serializedBytes())
        try send(Multiplexing.encode(back.encoded(), on: Multiplexing.pluginService))
    }
}
