internal import Core
internal import LinuxKernel
internal import OCISpec
internal import SystemPackage

/// Attachments on disk: DIRECTORY/POD/INTERFACE.json. Durable, for they outlive a crash of the machine as plugins' state does.
struct CNIAttachmentCache: Sendable {
    let directory: FilePath

    private func file(_ podID: String, _ interface: String) -> FilePath {
        directory.appending(podID).appending("\(interface).json")
    }

    func write(_ attachment: CNIAttachment) throws {
        let path = file(attachment.podID, attachment.interfaceName)
        do {
            try Files.makeDirectories(directory.appending(attachment.podID), mode: 0o700)
            try Files.writeDurably(path, StrictJSON.encode(attachment), mode: 0o600)
        } catch let error as Errno {
            throw BerthError(.internal, "write the attachment \(path)", cause: error)
        }
    }

    /// - Throws: `BerthError` for a file that cannot be read; `nil` where there is none.
    func read(podID: String, interface: String) throws -> CNIAttachment? {
        let path = file(podID, interface)
        let bytes: [UInt8]
        do throws(Errno) { bytes = try Files.read(path, limit: 4 << 20) } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw BerthError(.internal, "read the attachment \(path)", cause: error)
        }
        let attachment = try StrictJSON.decode(CNIAttachment.self, from: bytes, what: path.string, limit: 4 << 20)
        guard attachment.recordVersion == 1 else {
            throw BerthError(.failedPrecondition, "\(path) has version \(attachment.recordVersion), not 1")
        }
        return attachment
    }

    func remove(podID: String, interface: String) {
        try? Syscall.unlinkat(file(podID, interface))
        try? Syscall.unlinkat(directory.appending(podID), removeDirectory: true)
    }

    /// Interfaces of the pod that have an attachment.
    func interfaces(of podID: String) -> [String] {
        ((try? Files.list(directory.appending(podID))) ?? []).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }
            .map { String($0.dropLast(5)) }
    }

    func all() -> [(podID: String, interface: String)] {
        ((try? Files.list(directory)) ?? []).flatMap { pod in interfaces(of: pod).map { (pod, $0) } }
    }
}
