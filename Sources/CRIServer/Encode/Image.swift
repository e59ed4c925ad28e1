internal import CRIAPI
internal import Engine

extension Runtime_V1_Image {
    init(_ image: ImageStatus) {
        self.init()
        id = image.id.description
        repoTags = image.tags
        repoDigests = image.digests
        size = UInt64(clamping: image.size)
        pinned = image.isPinned
        spec = Runtime_V1_ImageSpec.with { $0.image = image.id.description }
        // `USER[:GROUP]`: a number is told as uid, a name as username.
        let user = image.config.config?.user?.split(separator: ":").first.map(String.init) ?? ""
        if let number = Int64(user) {
            uid = Runtime_V1_Int64Value.with { $0.value = number }
        } else {
            username = user
        }
    }
}
