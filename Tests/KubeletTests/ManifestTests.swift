internal import Core
internal import Testing

@testable internal import Kubelet

@Suite("Manifests")
struct ManifestTests {
    @Test("get the API's defaults") func defaults() throws {
        let pod = try pod(
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: busybox}]}}")
        #expect(pod.fullName == "default/a")
        #expect(pod.restartPolicy == .always)
        #expect(pod.gracePeriod == 30)
        #expect(pod.spec.containers[0].imagePullPolicy == .always)
        #expect(pod.spec.containers[0].terminationMessagePath == "/dev/termination-log")
    }

    @Test(
        "derive the pull policy from the reference",
        arguments: [
            ("busybox", ImagePullPolicy.always), ("busybox:latest", .always), ("busybox:1", .ifNotPresent),
            ("localhost:5000/busybox", .always), ("localhost:5000/busybox:1", .ifNotPresent),
            ("busybox@sha256:0000", .ifNotPresent),
        ])
    func pullPolicy(image: String, policy: ImagePullPolicy) throws {
        let pod = try pod(simplePod(["{name: c, image: '\(image)'}"]))
        #expect(pod.spec.containers[0].imagePullPolicy == policy)
    }

    @Test("may hold several documents, lists, and JSON") func forms() throws {
        let one = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n"
        #expect(
            try pods(one + "---\n" + one.replacing("name: a", with: "name: b") + "---\n").map(\.metadata.name) == [
                "a", "b",
            ])
        let list =
            "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: x}\n  spec: {containers: [{name: c, image: i}]}\n"
        #expect(try pods(list).map(\.metadata.name) == ["x"])
        let json =
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"j","labels":{"a":"\/é😀"}}, "spec":{"containers":[{"name":"c","image":"i","args":["\u00e9\/"]}]}}"#
        #expect(throws: BerthError.self) { try pods(json) }
        let plain = json.replacing(#","labels":{"a":"\/é😀"}"#, with: "")
        #expect(try pods(plain).first?.spec.containers[0].args == ["é/"])
    }

    @Test("make the same UID from the same path and content only") func uid() throws {
        let first = try pod(simplePod())
        #expect(try pods(simplePod()).first?.uid == first.uid)
        #expect(first.uid.count == 32)
        #expect(try pods(simplePod(), path: "/other.yaml").first?.uid != first.uid)
        #expect(try pods(simplePod(policy: "Never")).first?.uid != first.uid)
        #expect(try pods("# a comment\n" + simplePod()).first?.uid == first.uid)
    }

    @Test("warn by name of what has no effect") func warnings() throws {
        let text = simplePod(more: "nodeSelector: {disk: fast}\ntolerations: []\npriorityClassName: high")
        let result = try ManifestParser.parse(text, path: "/x", nodeName: "n")
        #expect(
            result.warnings == [
                "spec.nodeSelector has no effect on a standalone node",
                "spec.priorityClassName has no effect on a standalone node",
            ])
    }

    @Test("exported from a cluster are taken, status and all") func exported() throws {
        let text = """
            apiVersion: v1
            kind: Pod
            metadata: {name: a, creationTimestamp: null, uid: 123, resourceVersion: "5"}
            spec: {containers: [{name: c, image: i, resources: {}}]}
            status: {phase: Nonsense, anything: [1]}
            """
        #expect(try pod(text).uid != "123")
    }

    struct Bad: CustomTestStringConvertible, Sendable {
        let text: String
        let error: String
        var testDescription: String { error }
    }

    static func container(_ fields: String, more: String = "") -> String {
        simplePod(["{name: c, image: i, \(fields)}"], more: more)
    }

    static let bad: [Bad] = [
        Bad(text: "", error: "manifest is empty"),
        Bad(text: "just text", error: "document: \"just text\" must be a mapping, not a string"),
        Bad(text: "a: [1", error: "not valid YAML: line "),
        Bad(text: "a: 1\na: 2", error: "not valid YAML: line 1: the same key twice in one mapping: a"),
        Bad(text: "kind: Pod", error: "apiVersion is required"),
        Bad(
            text: "{apiVersion: apps/v1, kind: Deployment}",
            error: "kind: \"apps/v1 Deployment\" must be v1 Pod or v1 PodList"),
        Bad(text: "{apiVersion: v1, kind: Pod, spec: {containers: []}}", error: "metadata is required"),
        Bad(
            text: "{apiVersion: v1, kind: Pod, metadata: {name: A}, spec: {containers: [{name: c, image: i}]}}",
            error: "metadata.name: \"A\" must be a DNS subdomain"),
        Bad(
            text: "{apiVersion: v1, kind: Pod, metadata: {name: ../x}, spec: {containers: [{name: c, image: i}]}}",
            error: "metadata.name: \"../x\" must be"),
        Bad(
            text:
                "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: a/b}, spec: {containers: [{name: c, image: i}]}}",
            error: "metadata.namespace: \"a/b\" must be a DNS label"),
        Bad(
            text: "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: []}}",
            error: "spec.containers: \"\" must hold at least one container"),
        Bad(text: container("imagee: x"), error: "spec.containers[0].imagee is an unknown field"),
        Bad(
            text: container("imagePullPolicy: Sometimes"),
            error: "spec.containers[0].imagePullPolicy: \"Sometimes\" must be one of Always, IfNotPresent, Never"),
        Bad(
            text: container("envFrom: [{configMapRef: {name: x}}]"),
            error: "spec.containers[0].envFrom is not supported by berth-kubelet yet"),
        Bad(
            text: container("env: [{name: A, value: 5}]"),
            error: "spec.containers[0].env[0].value: \"5\" must be a string (quote it), not a number"),
        Bad(
            text: container("env: [{name: A=B}]"),
            error: "spec.containers[0].env[0].name: \"A=B\" must be printable ASCII"),
        Bad(
            text: container("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
            error:
                "spec.containers[0].env[0].valueFrom.secretKeyRef is not supported: a standalone node has no API server"
        ),
        Bad(
            text: container("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nope}}}]"),
            error: "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: \"spec.nope\" must be a field"),
        Bad(text: container("command: sh"), error: "spec.containers[0].command: \"sh\" must be a list, not a string"),
        Bad(text: container("command: [null]"), error: "spec.containers[0].command[0]: \"null\" must be a string"),
        Bad(
            text: container("ports: [{containerPort: 70000}]"),
            error: "spec.containers[0].ports[0].containerPort: \"70000\" must be between 1 and 65535"),
        Bad(
            text: container("ports: [{containerPort: 99999999999}]"),
            error:
                "spec.containers[0].ports[0].containerPort: \"99999999999\" must be between -2147483648 and 2147483647"),
        Bad(
            text: container("resources: {limits: {memory: lots}}"),
            error: "spec.containers[0].resources.limits.memory: \"lots\" must be a number"),
        Bad(
            text: container("resources: {requests: {cpu: 2}, limits: {cpu: 1}}"),
            error: "spec.containers[0].resources.requests.cpu: \"2\" must not exceed the limit 1"),
        Bad(
            text: container("resources: {limits: {nvidia.com/gpu: 1}}"),
            error: "spec.containers[0].resources.limits.nvidia.com/gpu is not supported"),
        Bad(
            text: container("volumeMounts: [{name: v, mountPath: /v}]"),
            error: "spec.containers[0].volumeMounts[0].name: \"v\" is not a volume of this pod"),
        Bad(
            text: container("volumeMounts: [{name: v, mountPath: v}]", more: "volumes: [{name: v, emptyDir: {}}]"),
            error: "spec.containers[0].volumeMounts[0].mountPath: \"v\" must be an absolute path"),
        Bad(
            text: container(
                "volumeMounts: [{name: v, mountPath: /v, subPath: ../x}]", more: "volumes: [{name: v, emptyDir: {}}]"),
            error: "spec.containers[0].volumeMounts[0].subPath: \"../x\" must be relative"),
        Bad(
            text: container(
                "volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]",
                more: "volumes: [{name: v, emptyDir: {}}]"), error: "needs a privileged container"),
        Bad(
            text: simplePod(more: "volumes: [{name: v, configMap: {name: x}}]"),
            error: "spec.volumes[0].configMap is not supported: a standalone node has no API server"),
        Bad(
            text: simplePod(more: "volumes: [{name: v, nfs: {server: x, path: /}}]"),
            error: "spec.volumes[0].nfs is not supported by berth-kubelet yet"),
        Bad(
            text: simplePod(more: "volumes: [{name: v}]"),
            error: "spec.volumes[0]: \"v\" needs one of emptyDir, hostPath, downwardAPI"),
        Bad(
            text: simplePod(more: "volumes: [{name: v, hostPath: {path: rel}}]"),
            error: "spec.volumes[0].hostPath.path: \"rel\" must be absolute"),
        Bad(
            text: simplePod(more: "volumes: [{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]"),
            error: "spec.volumes[1].name: \"v\" is used twice"),
        Bad(
            text: container("livenessProbe: {exec: {command: [a]}, httpGet: {port: 80}}"),
            error: "spec.containers[0].livenessProbe needs exactly one of exec, httpGet, tcpSocket, and has 2"),
        Bad(
            text: container("livenessProbe: {grpc: {port: 80}}"),
            error: "spec.containers[0].livenessProbe.grpc is not supported"),
        Bad(
            text: container("livenessProbe: {httpGet: {port: web}}"),
            error: "spec.containers[0].livenessProbe.httpGet.port: \"web\" is not the name of a port"),
        Bad(
            text: container("livenessProbe: {exec: {command: [a]}, periodSeconds: 0}"),
            error: "livenessProbe.periodSeconds: \"0\" must be at least 1"),
        Bad(
            text: container("livenessProbe: {exec: {command: [a]}, successThreshold: 2}"),
            error: "livenessProbe.successThreshold: \"2\" must be 1"),
        Bad(
            text: container("securityContext: {privileged: true, allowPrivilegeEscalation: false}"),
            error: "allowPrivilegeEscalation cannot be false"),
        Bad(
            text: container("securityContext: {runAsUser: -1}"),
            error: "spec.containers[0].securityContext.runAsUser: \"-1\" must be between 0"),
        Bad(
            text: container("restartPolicy: Always"),
            error: "spec.containers[0].restartPolicy is allowed on init containers only"),
        Bad(text: simplePod(["a", "a"]), error: "spec.containers[1].name: \"a\" is used twice"),
        Bad(
            text: simplePod(initContainers: ["{name: i, image: i, livenessProbe: {exec: {command: [a]}}}"]),
            error: "spec.initContainers[0].livenessProbe is not allowed"),
        Bad(text: simplePod(more: "hostNetwork: yep"), error: "spec.hostNetwork: \"yep\" must be true or false"),
        Bad(
            text: simplePod(more: "dnsPolicy: None"), error: "spec.dnsConfig.nameservers must hold at least one address"
        ),
        Bad(
            text: simplePod(more: "hostAliases: [{ip: 1.2.3, hostnames: [a]}]"),
            error: "spec.hostAliases[0].ip: \"1.2.3\" must be an IP address"),
        Bad(text: simplePod(more: "serviceAccountName: x"), error: "spec.serviceAccountName is not supported"),
        Bad(
            text: simplePod(more: "terminationGracePeriodSeconds: -1"),
            error: "spec.terminationGracePeriodSeconds: \"-1\" must not be negative"),
        Bad(
            text: simplePod() + "\n---\n" + simplePod(),
            error: "document 2: metadata.name: \"default/demo\" is defined twice in this file"),
        Bad(text: String(repeating: "[", count: 5000), error: ""),
        Bad(
            text:
                "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
            error: "manifest has more than 100000 values"),
        Bad(text: "\u{0}\u{1}\u{7f}", error: ""),
        Bad(text: "{\"apiVersion\": \"v1\", \"kind\": \"Pod\"", error: ""),
    ]

    @Test("that are wrong get one error with the field, the value and the rule", arguments: bad)
    func refused(bad: Bad) throws {
        let error = try #require(throws: BerthError.self) { try pods(bad.text) }
        #expect("\(error)".hasPrefix(bad.error) || "\(error)".contains(bad.error))
        #expect(!"\(error)".contains("\n"))
    }

    @Test("cut short anywhere never crash the parser") func truncated() {
        let text = Array(
            simplePod(
                initContainers: [sidecar("s")], more: "volumes: [{name: v, emptyDir: {sizeLimit: 1Gi, medium: Memory}}]"
            ).utf8)
        for length in 0..<text.count {
            _ = try? pods(String(decoding: text[..<length], as: UTF8.self))
        }
    }
}
