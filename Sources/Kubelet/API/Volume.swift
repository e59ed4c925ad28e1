struct Volume: KubernetesObject {
    static let unsupported: Set<String> = [
        "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "ephemeral", "fc", "flexVolume",
        "flocker", "gcePersistentDisk", "gitRepo", "glusterfs", "image", "iscsi", "nfs", "persistentVolumeClaim",
        "photonPersistentDisk", "portworxVolume", "projected", "quobyte", "rbd", "scaleIO", "storageos",
        "vsphereVolume",
    ]

    var name: String
    var emptyDir: EmptyDirSource?
    var hostPath: HostPathSource?
    var downwardAPI: DownwardAPISource?
    /// Read so that the refusal can say why: a standalone node has no API server to ask.
    var configMap: NamedObjectSource?
    var secret: NamedObjectSource?
}

struct EmptyDirSource: KubernetesObject {
    enum Medium: String, StringEnumeration {
        case disk = ""
        case memory = "Memory"
    }

    var medium: Medium?
    var sizeLimit: Quantity?
}

struct HostPathSource: KubernetesObject {
    enum Kind: String, StringEnumeration {
        case unchecked = ""
        case directoryOrCreate = "DirectoryOrCreate"
        case directory = "Directory"
        case fileOrCreate = "FileOrCreate"
        case file = "File"
        case socket = "Socket"
        case charDevice = "CharDevice"
        case blockDevice = "BlockDevice"
    }

    var path: String
    var type: Kind?
}

struct DownwardAPISource: KubernetesObject {
    struct Item: KubernetesObject {
        var path: String
        var fieldRef: FieldReference?
        var resourceFieldRef: ResourceFieldReference?
        var mode: Int32?
    }

    var items: [Item]?
    var defaultMode: Int32?
}

struct NamedObjectSource: KubernetesObject {
    struct Item: KubernetesObject {
        var key: String
        var path: String
        var mode: Int32?
    }

    var name: String?
    var secretName: String?
    var items: [Item]?
    var defaultMode: Int32?
    var optional: Bool?
}

struct VolumeMount: KubernetesObject {
    static let unsupported: Set<String> = ["subPathExpr", "recursiveReadOnly"]

    enum Propagation: String, StringEnumeration {
        case none = "None"
        case hostToContainer = "HostToContainer"
        case bidirectional = "Bidirectional"
    }

    var name: String
    var mountPath: String
    var subPath: String?
    var readOnly: Bool?
    var mountPropagation: Propagation?
}
