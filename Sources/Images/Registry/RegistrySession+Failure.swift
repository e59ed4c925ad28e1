internal import Core
internal import OCISpec

extension RegistrySession {
    private static let errorLimit = 64 << 10

    /// What a registry says about a failure (distribution-spec, "Error Codes").
    private struct RegistryErrors: Decodable {
        struct Entry: Decodable {
            var code: String?
            var message: String?
        }
        var errors: [Entry]?
    }

    /// The error that an unexpected status means, with the registry's own words.
    func failure(_ response: Response, what: String) async -> any Error {
        let bytes = (try? await client.document(response, limit: Self.errorLimit, what: "error")) ?? []
        if Task.isCancelled { return CancellationError() }
        let known = try? StrictJSON.decode(RegistryErrors.self, from: bytes, what: "error", limit: Self.errorLimit)
        let words = RegistryAddress.printable(
            (known?.errors ?? []).prefix(10).compactMap { $0.message ?? $0.code }.joined(separator: "; "))
        let status = RegistryAddress.printable("\(response.status.code) \(response.status.reasonPhrase)", limit: 80)
        let detail = words.isEmpty ? status : "\(status): \(words)"
        switch response.status.code {
        case 401:
            return BerthError(
                .unauthenticated, "\(what): registry \(host.name) wants other credentials (\(detail))",
                advice: credentials == .anonymous
                    ? "log in, or check the name: a private image looks like this too" : nil)
        case 403: return BerthError(.permissionDenied, "\(what): registry \(host.name) refused (\(detail))")
        case 404: return BerthError(.notFound, "\(what) does not exist in registry \(host.name) (\(detail))")
        case 408, 425, 429, 500...599:
            return TransientFailure(
                "registry \(host.name) answered \(detail)",
                retryAfter: response.headers.first(name: "Retry-After").flatMap { RetryAfter.seconds($0) })
        default: return BerthError(.unavailable, "\(what): registry \(host.name) answered \(detail)")
        }
    }
}
