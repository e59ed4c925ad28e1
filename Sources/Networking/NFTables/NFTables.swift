private import CNFTables
internal import Core
private import Glibc
private import Synchronization

/// nft commands through libnftables, in the network namespace of the calling thread.
enum NFTables {
    /// The library keeps global state of its parser.
    private static let library = Mutex(())

    /// Carries out `commands` as one transaction.
    ///
    /// - Returns: what it printed.
    /// - Throws: `NFTablesError` with the library's words.
    static func run(_ commands: String, json: Bool = false) throws -> String {
        try library.withLock { _ in
            try requireNetfilter()
            guard let context = nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else {
                throw NFTablesError(message: "no nftables context")
            }
            defer { nft_ctx_free(context) }
            guard nft_ctx_buffer_output(context) == 0, nft_ctx_buffer_error(context) == 0 else {
                throw NFTablesError(message: "no buffers for nftables' output")
            }
            if json { nft_ctx_output_set_flags(context, UInt32(NFT_CTX_OUTPUT_JSON)) }
            let result = nft_run_cmd_from_buffer(context, commands)
            let errors = nft_ctx_get_error_buffer(context).map { String(cString: $0) } ?? ""
            guard result == 0 else { throw NFTablesError(message: errors) }
            return nft_ctx_get_output_buffer(context).map { String(cString: $0) } ?? ""
        }
    }

    /// Where the kernel has no nfnetlink the library does not answer: it ends the process (mnl.c, `mnl_init_error`).
    private static func requireNetfilter() throws {
        let netlinkNetfilter: Int32 = 12
        let netfilter = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), netlinkNetfilter)
        guard netfilter >= 0 else {
            throw NFTablesError(
                message: "the kernel has no netfilter over netlink: \(String(cString: strerror(errno)))")
        }
        close(netfilter)
    }
}

/// What libnftables or the kernel had against a command.
struct NFTablesError: Error, CustomStringConvertible {
    let message: String

    /// The first line of the library's text; the rest quotes the command.
    var description: String {
        let line = message.split(separator: "\n").first.map(String.init) ?? "nftables gave no reason"
        return line.hasPrefix("Error: ") ? String(line.dropFirst(7)) : line
    }

    var isExists: Bool { message.contains("File exists") }
    var isMissing: Bool { message.contains("No such file or directory") }
}
