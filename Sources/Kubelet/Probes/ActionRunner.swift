internal import AsyncHTTPClient
internal import CRIAPI
internal import Core
internal import Foundation
internal import NIOCore
internal import NIOPosix

/// Carries out what probes and lifecycle hooks ask for against one container.
struct ActionRunner: Sendable {
    let runtime: any ContainerRuntime
    let container: Container
    let containerID: String
    let podIP: String?

    /// Bytes of a command's output or an answer's body that an error quotes.
    private static let quoted = 512

    func probe(_ probe: Probe) async throws -> ProbeTracker.Outcome {
        let timeout = Int64(probe.timeoutSeconds ?? 1)
        if let exec = probe.exec { return try await run(exec, timeout: timeout) }
        if let get = probe.httpGet { return await request(get, timeout: timeout) }
        if let socket = probe.tcpSocket { return await connect(socket, timeout: timeout) }
        return .success
    }

    /// - Parameter timeout: seconds; 0 for none.
    func hook(_ handler: LifecycleHandler, timeout: Int64) async throws -> ProbeTracker.Outcome {
        if let exec = handler.exec { return try await run(exec, timeout: timeout) }
        if let get = handler.httpGet { return await request(get, timeout: timeout == 0 ? 3600 : timeout) }
        if let sleep = handler.sleep {
            try await Task.sleep(for: .seconds(timeout == 0 ? sleep.seconds : min(sleep.seconds, timeout)))
        }
        return .success
    }

    // MARK: exec

    private func run(_ action: ExecAction, timeout: Int64) async throws -> ProbeTracker.Outcome {
        do {
            let response = try await runtime.execSync(containerID, command: action.command ?? [], timeout: timeout)
            guard response.exitCode != 0 else { return .success }
            let output = String(decoding: (response.stdout + response.stderr).prefix(Self.quoted), as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            return .failure("command ended with \(response.exitCode)" + (output.isEmpty ? "" : ": \(output)"))
        } catch let error as BerthError where error.code == .deadlineExceeded {
            return .failure("command did not end within \(timeout) s")
        }
    }

    // MARK: HTTP

    /// Redirects to the same host are followed; others count as success, since the answer is no error.
    private func request(_ action: HTTPGetAction, timeout: Int64) async -> ProbeTracker.Outcome {
        guard let port = port(action.port), let host = action.host ?? podIP else {
            return .failure("pod has no address yet")
        }
        let scheme = (action.scheme ?? .http).rawValue.lowercased()
        var path = action.path ?? "/"
        if !path.hasPrefix("/") { path = "/" + path }
        var url = URL(string: "\(scheme)://\(Self.bracketed(host)):\(port)\(path)")
        let deadline = NIODeadline.now() + .seconds(timeout)
        do {
            for _ in 0..<10 {
                guard let target = url else { return .failure("\(path) is not a URL path") }
                var request = HTTPClientRequest(url: target.absoluteString)
                request.headers.add(name: "User-Agent", value: "kube-probe/berth")
                request.headers.add(name: "Accept", value: "*/*")
                for header in action.httpHeaders ?? [] {
                    request.headers.replaceOrAdd(name: header.name, value: header.value)
                }
                request.headers.add(name: "Connection", value: "close")
                let response = try await ProbeHTTP.client.execute(request, deadline: deadline)
                let status = Int(response.status.code)
                if (300..<400).contains(status), let location = response.headers.first(name: "Location"),
                    let next = URL(string: location, relativeTo: target)?.absoluteURL, next.host == target.host
                {
                    url = next
                    continue
                }
                return (200..<400).contains(status) ? .success : .failure("\(target) answered \(status)")
            }
            return .failure("more than 10 redirects")
        } catch {
            return .failure("GET \(url?.absoluteString ?? path): \(error)")
        }
    }

    // MARK: TCP

    private func connect(_ action: TCPSocketAction, timeout: Int64) async -> ProbeTracker.Outcome {
        guard let port = port(action.port), let host = action.host ?? podIP else {
            return .failure("pod has no address yet")
        }
        do {
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(timeout))
                .connect(host: host, port: port).get()
            try? await channel.close()
            return .success
        } catch {
            return .failure("connect to \(host):\(port): \(error)")
        }
    }

    private func port(_ port: IntOrString) -> Int? {
        switch port {
        case .integer(let number): return Int(number)
        case .string(let name):
            return container.ports?.first { $0.name == name }.map { Int($0.containerPort) }
        }
    }

    private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

/// One client for all probes. Certificates are not verified: the probe asks whether the server answers, as kubelet's does.
private enum ProbeHTTP {
    static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.tlsConfiguration = .makeClientConfiguration()
        configuration.tlsConfiguration?.certificateVerification = .none
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}
