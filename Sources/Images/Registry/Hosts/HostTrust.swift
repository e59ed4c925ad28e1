internal import Core
internal import NIOSSL

/// What a TLS connection to a host rests on: certificates beside the system's, and our own to show.
struct HostTrust: Hashable, Sendable {
    struct Identity: Hashable, Sendable {
        /// PEM: the certificate, and those that vouch for it.
        var certificate: [UInt8]
        /// PEM; may be the same bytes.
        var key: [UInt8]
    }

    /// PEM, each of one or more certificates.
    var authorities: [[UInt8]] = []
    var identity: Identity?
    var skipsVerification = false

    static let system = HostTrust()

    /// For an address of another machine that the registry names (a token server, a store of blobs): nothing that proves who
    /// we are, and nothing that lets anyone pass for it.
    var forOthers: HostTrust { HostTrust(authorities: authorities) }

    /// - Throws: `BerthError` (`invalidArgument`) for what is no certificate or no key.
    func configuration() throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if skipsVerification { tls.certificateVerification = .none }
        tls.additionalTrustRoots = try authorities.map { pem in
            .certificates(try Self.certificates(pem, "certificate authority"))
        }
        guard let identity else { return tls }
        tls.certificateChain = try Self.certificates(identity.certificate, "client certificate").map {
            .certificate($0)
        }
        do {
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: identity.key, format: .pem))
        } catch {
            throw BerthError(.invalidArgument, "the client certificate's key is no private key in PEM", cause: error)
        }
        return tls
    }

    private static func certificates(_ pem: [UInt8], _ what: String) throws -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMBytes(pem)
            guard !found.isEmpty else { throw BerthError(.invalidArgument, "there is none in the file") }
            return found
        } catch {
            throw BerthError(.invalidArgument, "\(what) is no certificate in PEM", cause: error)
        }
    }
}
