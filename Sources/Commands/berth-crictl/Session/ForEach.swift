internal import Core
private import GRPCCore

/// Does `body` for each of several names, goes on after a failure, and then throws one error with what failed.
func forEach(_ names: [String], _ body: (String) async throws -> Void) async throws {
    var failures: [any Error] = []
    for name in names {
        do { try await body(name) } catch { failures.append(error) }
    }
    guard let first = failures.first else { return }
    guard failures.count > 1 else { throw first }
    let texts = failures.map { ($0 as? RPCError).map(Connection.describe) ?? "\($0)" }
    throw BerthError(.internal, texts.joined(separator: "\nberth-crictl: "))
}
