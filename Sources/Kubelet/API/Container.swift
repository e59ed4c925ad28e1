struct Container: KubernetesObject {
    static let unsupported: Set<String> = ["envFrom", "resizePolicy", "restartPolicyRules", "volumeDevices"]

    var name: String
    var image: String
    var imagePullPolicy: ImagePullPolicy?
    var command: [String]?
    var args: [String]?
    var workingDir: String?
    var ports: [ContainerPort]?
    var env: [EnvironmentVariable]?
    var resources: ResourceRequirements?
    /// Set only on init containers: `Always` makes one a sidecar.
    var restartPolicy: ContainerRestartPolicy?
    var volumeMounts: [VolumeMount]?
    var livenessProbe: Probe?
    var readinessProbe: Probe?
    var startupProbe: Probe?
    var lifecycle: Lifecycle?
    var terminationMessagePath: String?
    var terminationMessagePolicy: TerminationMessagePolicy?
    var securityContext: SecurityContext?
    var stdin: Bool?
    var stdinOnce: Bool?
    var tty: Bool?

    var isSidecar: Bool { restartPolicy == .always }
}

enum ImagePullPolicy: String, StringEnumeration {
    case always = "Always"
    case ifNotPresent = "IfNotPresent"
    case never = "Never"
}

enum ContainerRestartPolicy: String, StringEnumeration {
    case always = "Always"
}

enum TerminationMessagePolicy: String, StringEnumeration {
    case file = "File"
    case fallbackToLogsOnError = "FallbackToLogsOnError"
}

struct ContainerPort: KubernetesObject {
    var name: String?
    var containerPort: Int32
    var hostPort: Int32?
    var hostIP: String?
    var `protocol`: PortProtocol?
}

enum PortProtocol: String, StringEnumeration {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"
}

struct EnvironmentVariable: KubernetesObject {
    var name: String
    var value: String?
    var valueFrom: EnvironmentSource?
}

struct EnvironmentSource: KubernetesObject {
    static let unsupported: Set<String> = ["fileKeyRef"]

    var fieldRef: FieldReference?
    var resourceFieldRef: ResourceFieldReference?
    /// Read so that the refusal can say why: a standalone node has no API server to ask.
    var configMapKeyRef: ObjectKeyReference?
    var secretKeyRef: ObjectKeyReference?
}

struct FieldReference: KubernetesObject {
    var apiVersion: String?
    var fieldPath: String
}

struct ResourceFieldReference: KubernetesObject {
    var containerName: String?
    var resource: String
    var divisor: Quantity?
}

struct ObjectKeyReference: KubernetesObject {
    var name: String?
    var key: String
    var optional: Bool?
}

struct ResourceRequirements: KubernetesObject {
    static let unsupported: Set<String> = ["claims"]

    var limits: [String: Quantity]?
    var requests: [String: Quantity]?
}

struct Lifecycle: KubernetesObject {
    static let unsupported: Set<String> = ["stopSignal"]

    var postStart: LifecycleHandler?
    var preStop: LifecycleHandler?
}

struct LifecycleHandler: KubernetesObject {
    static let unsupported: Set<String> = ["tcpSocket"]

    struct Sleep: KubernetesObject {
        var seconds: Int64
    }

    var exec: ExecAction?
    var httpGet: HTTPGetAction?
    var sleep: Sleep?
}

struct ExecAction: KubernetesObject {
    var command: [String]?
}

struct HTTPGetAction: KubernetesObject {
    enum Scheme: String, StringEnumeration {
        case http = "HTTP"
        case https = "HTTPS"
    }

    struct Header: KubernetesObject {
        var name: String
        var value: String
    }

    var path: String?
    var port: IntOrString
    var host: String?
    var scheme: Scheme?
    var httpHeaders: [Header]?
}

struct TCPSocketAction: KubernetesObject {
    var port: IntOrString
    var host: String?
}

struct Probe: KubernetesObject {
    static let unsupported: Set<String> = ["grpc"]

    var exec: ExecAction?
    var httpGet: HTTPGetAction?
    var tcpSocket: TCPSocketAction?
    var initialDelaySeconds: Int32?
    var timeoutSeconds: Int32?
    var periodSeconds: Int32?
    var successThreshold: Int32?
    var failureThreshold: Int32?
    var terminationGracePeriodSeconds: Int64?
}
