/// What a manifest of an index is for (image-spec, image-index.md, "platform").
public struct Platform: Hashable, Sendable, Codable {
    public var architecture: String
    public var os: String
    public var variant: String?
    public var osVersion: String?
    public var osFeatures: [String]?

    enum CodingKeys: String, CodingKey {
        case architecture, os, variant
        case osVersion = "os.version"
        case osFeatures = "os.features"
    }

    public init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        architecture = try container.decodeIfPresent(String.self, forKey: .architecture) ?? ""
        os = try container.decodeIfPresent(String.self, forKey: .os) ?? ""
        variant = try container.decodeIfPresent(String.self, forKey: .variant)
        osVersion = try container.decodeIfPresent(String.self, forKey: .osVersion)
        osFeatures = try container.decodeIfPresent([String].self, forKey: .osFeatures)
    }

    /// The platform that this program was built for.
    public static var host: Platform {
        #if arch(x86_64)
        Platform(os: "linux", architecture: "amd64")
        #elseif arch(arm64)
        Platform(os: "linux", architecture: "arm64")
        #elseif arch(arm)
        Platform(os: "linux", architecture: "arm", variant: "v7")
        #elseif arch(i386)
        Platform(os: "linux", architecture: "386")
        #elseif arch(powerpc64le)
        Platform(os: "linux", architecture: "ppc64le")
        #elseif arch(s390x)
        Platform(os: "linux", architecture: "s390x")
        #else
        Platform(os: "linux", architecture: "riscv64")
        #endif
    }
}

extension Platform: CustomStringConvertible {
    /// `OS/ARCHITECTURE[/VARIANT]`
    public var description: String {
        let base = "\(os)/\(architecture)"
        guard let variant, !variant.isEmpty else { return base }
        return "\(base)/\(variant)"
    }
}

extension Platform {
    /// Parses `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone, in any of the usual spellings; `nil` if it is neither.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Self.isNameByte) })
        else { return nil }
        if parts.count == 1 {
            self.init(os: "linux", architecture: parts[0])
        } else {
            self.init(os: parts[0], architecture: parts[1], variant: parts.count == 3 ? parts[2] : nil)
        }
        self = normalized
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// Go's names for operating system and architecture, and the variant only where it is not the usual one.
    public var normalized: Platform {
        var result = self
        result.os = os.isEmpty ? "linux" : os.lowercased()
        var variant = variant?.lowercased() ?? ""
        switch architecture.lowercased() {
        case "x86_64", "x86-64", "amd64":
            result.architecture = "amd64"
            if variant == "v1" { variant = "" }
        case "i386", "i486", "i586", "i686", "386":
            result.architecture = "386"
            variant = ""
        case "aarch64", "arm64":
            result.architecture = "arm64"
            if variant == "8" || variant == "v8" { variant = "" }
        case "armhf":
            result.architecture = "arm"
            variant = "v7"
        case "armel":
            result.architecture = "arm"
            variant = "v6"
        case "arm":
            result.architecture = "arm"
            switch variant {
            case "", "7": variant = "v7"
            case "5", "6", "8": variant = "v\(variant)"
            default: break
            }
        case let other: result.architecture = other
        }
        result.variant = variant.isEmpty ? nil : variant
        return result
    }

    /// How well content for `candidate` runs where `self` is wanted: 0 is exact, higher is worse, `nil` not at all.
    ///
    /// A processor runs what was built for an older variant of it: arm/v7 runs v6 and v5, amd64/v3 runs v2 and v1.
    public func rank(of candidate: Platform) -> Int? {
        let wanted = normalized
        let offered = candidate.normalized
        guard wanted.os == offered.os else { return nil }
        if wanted.architecture == offered.architecture {
            if wanted.variant == offered.variant { return 0 }
            let wantedLevel = Self.level(wanted)
            let offeredLevel = Self.level(offered)
            guard let wantedLevel, let offeredLevel, offeredLevel < wantedLevel else { return nil }
            return wantedLevel - offeredLevel
        }
        if wanted.architecture == "arm64", offered.architecture == "arm", let level = Self.level(offered), level <= 8 {
            return 20 - level
        }
        return nil
    }

    /// The variant as a number: arm64 without one is v8, amd64 without one is v1.
    private static func level(_ platform: Platform) -> Int? {
        guard let variant = platform.variant else {
            switch platform.architecture {
            case "arm64": return 8
            case "amd64": return 1
            default: return nil
            }
        }
        guard variant.first == "v" else { return nil }
        return Int(variant.dropFirst())
    }
}
