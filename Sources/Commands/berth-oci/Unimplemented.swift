internal import Core

func unimplemented(_ what: String) -> BerthError {
    BerthError(.unimplemented, "\(what): is not supported by this version")
}
