internal import Core
internal import LinuxKernel
internal import SystemPackage

/// Where requests to the kernel's routing tables go: a socket, or in tests a recording.
protocol NetlinkChannel {
    /// Sends all requests at once; a failed one does not keep the kernel from carrying out those after it.
    func exchange(_ requests: [NetlinkRequest]) throws -> [Result<[NetlinkMessage], NetlinkError>]
}

extension NetlinkChannel {
    /// Carries out `requests`; throws the first failure, with the purpose of its request.
    @discardableResult
    func perform(_ requests: NetlinkRequest...) throws -> [[NetlinkMessage]] {
        try perform(requests)
    }

    @discardableResult
    func perform(_ requests: [NetlinkRequest]) throws -> [[NetlinkMessage]] {
        try zip(requests, exchange(requests)).map { request, result in
            switch result {
            case .success(let messages): return messages
            case .failure(let error): throw BerthError(Self.code(error.errno), "\(request.purpose): \(error)")
            }
        }
    }

    /// As `perform`, but one of `accepted` is as good as success.
    func perform(_ request: NetlinkRequest, accepting accepted: Set<Int32>) throws {
        for result in try exchange([request]) {
            if case .failure(let error) = result, !accepted.contains(error.errno?.rawValue ?? 0) {
                throw BerthError(Self.code(error.errno), "\(request.purpose): \(error)")
            }
        }
    }

    static func code(_ errno: Errno?) -> BerthError.Code {
        switch errno {
        case .permissionDenied?, .notPermitted?: .permissionDenied
        case .fileExists?: .alreadyExists
        case .noSuchFileOrDirectory?, .noSuchDevice?: .notFound
        case .noMemory?, .noBufferSpace?: .resourceExhausted
        default: .internal
        }
    }
}

/// Routing requests to the namespace of the thread that made it.
final class RoutingSocket: NetlinkChannel {
    private let socket: NetlinkSocket
    private var nextSequence: UInt32 = 1

    init() throws {
        do { socket = try NetlinkSocket(.route) } catch {
            throw BerthError(.internal, "open a routing netlink socket", cause: error)
        }
    }

    func exchange(_ requests: [NetlinkRequest]) throws -> [Result<[NetlinkMessage], NetlinkError>] {
        var exchange = NetlinkExchange(requests, firstSequence: nextSequence)
        nextSequence &+= UInt32(requests.count)
        do {
            try socket.send(exchange.datagram)
            while !exchange.isComplete { try exchange.receive(socket.receive()) }
        } catch let error as Errno {
            throw BerthError(.internal, requests.first?.purpose ?? "netlink", cause: error)
        }
        return exchange.results
    }
}
