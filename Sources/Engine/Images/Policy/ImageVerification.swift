internal import Core
internal import Images
internal import LinuxKernel
internal import Logging
internal import OCISpec
public import SystemPackage

/// Programs that are asked about each image before it is pulled, as containerd's "bindir" image verifier asks them:
///
///     PROGRAM -name REFERENCE -digest DIGEST -stdin-media-type application/vnd.oci.descriptor.v1+json
///
/// with the descriptor as JSON on standard input. Every one has to exit with 0; what it writes is the reason.
public struct ImageVerification: Sendable {
    public var directory: FilePath
    /// Programs beyond this number make the pull fail: one that is left out could be the one that refuses.
    public var maximum = 10
    /// For each program.
    public var timeout = Duration.seconds(10)

    private static let descriptorType = "application/vnd.oci.descriptor.v1+json"

    public init(directory: FilePath) {
        self.directory = directory
    }

    func validate() throws {
        guard directory.isAbsolute else {
            throw BerthError.invalid(field: "verifier_directory", value: directory, rule: "must be an absolute path")
        }
    }

    /// - Throws: `BerthError` (`permissionDenied`) with the program and its reason. A program that cannot be run, or does not
    ///   end, refuses too. A directory that does not exist asks nobody, as with containerd.
    func verify(_ reference: ImageReference, _ target: Descriptor, logger: Logger) async throws {
        let names: [String]
        do {
            names = try Files.list(directory).sorted()
        } catch {
            throw BerthError(.permissionDenied, "image \"\(reference)\": list verifiers in \(directory)", cause: error)
        }
        guard names.count <= maximum else {
            throw BerthError(
                .permissionDenied,
                "image \"\(reference)\": \(directory) has \(names.count) verifiers, more than the limit of \(maximum)")
        }
        let input = try StrictJSON.encode(target)
        for name in names {
            let reason = try await ask(name, reference, target, input)
            logger.info(
                "image verified",
                metadata: [
                    "image": "\(reference)", "digest": "\(target.digest)", "by": "\(name)", "reason": "\(reason)",
                ])
        }
    }

    private func ask(
        _ name: String, _ reference: ImageReference, _ target: Descriptor, _ input: [UInt8]
    ) async throws -> String {
        let program = BoundedProgram(directory.appending(name), timeout: timeout)
        let result: BoundedProgram.Output
        do {
            result = try await program.run(
                arguments: [
                    "-name", "\(reference)", "-digest", "\(target.digest)", "-stdin-media-type", Self.descriptorType,
                ], environment: BoundedProgram.environment(Self.variables), input: input)
        } catch let error as BerthError {
            throw BerthError(.permissionDenied, "image \"\(reference)\" was not verified by \(name)", cause: error)
        }
        let said = Self.printable(result.output.isEmpty ? result.errors : result.output)
        guard result.status == .exited(0) else {
            throw BerthError(
                .permissionDenied,
                "image \"\(reference)\" was refused by verifier \(name), which \(result.status.ending)"
                    + (said.isEmpty ? "" : ": \(said)"))
        }
        return said
    }

    private static let variables = [
        "PATH", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    ]

    private static func printable(_ bytes: [UInt8]) -> String {
        let text = bytes.prefix(1000).map { (0x20...0x7e).contains($0) || $0 >= 0x80 ? $0 : UInt8(ascii: " ") }
        let words = String(decoding: text, as: UTF8.self).split(separator: " ")
        return words.joined(separator: " ")
    }
}
