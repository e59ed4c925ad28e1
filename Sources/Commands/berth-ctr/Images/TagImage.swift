internal import ArgumentParser
internal import ContainerdAPI
private import Core

struct TagImage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Give an image more names",
        discussion: """
            EXAMPLE:
              berth-ctr images tag docker.io/library/busybox:local example.com/busybox:1
            """)

    @Flag(help: "Let a name that exists stand for this image from now on")
    var force = false

    @Argument(help: "Present name")
    var source: String

    @Argument(help: "New names")
    var targets: [String]

    func run() async throws {
        try await Connection.open { daemon in
            let image = try await daemon.image(source)
            for name in targets {
                var copy = image
                copy.name = name
                copy.clearCreatedAt()
                copy.clearUpdatedAt()
                try await daemon.createImage(copy, replacing: force)
                Output.line(name)
            }
        }
    }
}

extension Connection {
    /// - Parameter replacing: whether an image of that name may exist, and then gets the new target and labels.
    func createImage(_ image: Containerd_Services_Images_V1_Image, replacing: Bool) async throws {
        do {
            try await doing("create image \(image.name)") {
                _ = try await images.create(.with { $0.image = image }, options: Session.current.callOptions)
            }
        } catch let error as BerthError where error.code == .alreadyExists && replacing {
            try await doing("update image \(image.name)") {
                _ = try await images.update(
                    .with {
                        $0.image = image
                        $0.updateMask.paths = ["target"] + image.labels.keys.sorted().map { "labels.\($0)" }
                    }, options: Session.current.callOptions)
            }
        }
    }
}
