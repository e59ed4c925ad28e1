internal import Core
@testable internal import OCISpec
internal import Testing

/// config.json is read by hand and written by `Codable`: what one of them does not know is lost.
@Suite struct ReadingTests {
    /// Every field of every type, each with a value of its own.
    static let everything = """
        {"ociVersion": "s2",
        "process": {
            "terminal": true,
            "consoleSize": {"height": 6, "width": 7},
            "user": {"uid": 9, "gid": 10, "umask": 11, "additionalGids": [13], "username": "s14"},
            "args": ["s16"],
            "commandLine": "s17",
            "env": ["s19"],
            "cwd": "s20",
            "capabilities": {"bounding": ["s23"], "effective": ["s25"], "inheritable": ["s27"],
                "permitted": ["s29"], "ambient": ["s31"]},
            "rlimits": [{"type": "s34", "soft": 35, "hard": 36}],
            "noNewPrivileges": true,
            "apparmorProfile": "s38",
            "oomScoreAdj": 39,
            "scheduler": {"policy": "s41", "nice": 42, "priority": 43, "flags": ["s45"], "runtime": 46,
                "deadline": 47, "period": 48},
            "selinuxLabel": "s49",
            "ioPriority": {"class": "s51", "priority": 52},
            "execCPUAffinity": {"initial": "s54", "final": "s55"}},
        "root": {"path": "s57", "readonly": true},
        "hostname": "s59",
        "domainname": "s60",
        "mounts": [{"destination": "s63", "type": "s64", "source": "s65", "options": ["s67"],
            "uidMappings": [{"containerID": 70, "hostID": 71, "size": 72}], "gidMappings": [{"containerID": 75,
            "hostID": 76, "size": 77}]}],
        "hooks": {"prestart": [{"path": "s81", "args": ["s83"], "env": ["s85"], "timeout": 86}],
            "createRuntime": [{"path": "s89", "args": ["s91"], "env": ["s93"], "timeout": 94}],
            "createContainer": [{"path": "s97", "args": ["s99"], "env": ["s101"], "timeout": 102}],
            "startContainer": [{"path": "s105", "args": ["s107"], "env": ["s109"], "timeout": 110}],
            "poststart": [{"path": "s113", "args": ["s115"], "env": ["s117"], "timeout": 118}],
            "poststop": [{"path": "s121", "args": ["s123"], "env": ["s125"], "timeout": 126}]},
        "annotations": {"k": "s128"},
        "linux": {
            "uidMappings": [{"containerID": 132, "hostID": 133, "size": 134}],
            "gidMappings": [{"containerID": 137, "hostID": 138, "size": 139}],
            "sysctl": {"k": "s141"},
            "resources": {"devices": [{"allow": true, "type": "s146", "major": 147, "minor": 148,
                "access": "s149"}], "memory": {"limit": 151, "reservation": 152, "swap": 153, "kernel": 154,
                "kernelTCP": 155, "swappiness": 156, "disableOOMKiller": true, "useHierarchy": true,
                "checkBeforeUpdate": true}, "cpu": {"shares": 161, "quota": 162, "burst": 163, "period": 164,
                "realtimeRuntime": 165, "realtimePeriod": 166, "cpus": "s167", "mems": "s168", "idle": 169},
                "pids": {"limit": 171}, "blockIO": {"weight": 173, "leafWeight": 174,
                "weightDevice": [{"major": 177, "minor": 178, "weight": 179, "leafWeight": 180}],
                "throttleReadBpsDevice": [{"major": 183, "minor": 184, "rate": 185}],
                "throttleWriteBpsDevice": [{"major": 188, "minor": 189, "rate": 190}],
                "throttleReadIOPSDevice": [{"major": 193, "minor": 194, "rate": 195}],
                "throttleWriteIOPSDevice": [{"major": 198, "minor": 199, "rate": 200}]},
                "hugepageLimits": [{"pageSize": "s203", "limit": 204}], "network": {"classID": 206,
                "priorities": [{"name": "s209", "priority": 210}]}, "rdma": {"k": {"hcaHandles": 213,
                "hcaObjects": 214}}, "unified": {"k": "s216"}},
            "cgroupsPath": "s217",
            "namespaces": [{"type": "s220", "path": "s221"}],
            "devices": [{"path": "s224", "type": "s225", "major": 226, "minor": 227, "fileMode": 228, "uid": 229,
                "gid": 230}],
            "netDevices": {"k": {"name": "s233"}},
            "seccomp": {"defaultAction": "s235", "defaultErrnoRet": 236, "architectures": ["s238"],
                "flags": ["s240"], "listenerPath": "s241", "listenerMetadata": "s242",
                "syscalls": [{"names": ["s246"], "action": "s247", "errnoRet": 248, "args": [{"index": 251,
                "value": 252, "valueTwo": 253, "op": "s254"}]}]},
            "rootfsPropagation": "s255",
            "maskedPaths": ["s257"],
            "readonlyPaths": ["s259"],
            "mountLabel": "s260",
            "intelRdt": {"closID": "s262", "schemata": ["s264"], "l3CacheSchema": "s265", "memBwSchema": "s266",
                "enableMonitoring": true, "enableCMT": true, "enableMBM": true},
            "personality": {"domain": "s271", "flags": ["s273"]},
            "timeOffsets": {"k": {"secs": 276, "nanosecs": 277}},
            "memoryPolicy": {"mode": "s279", "nodes": "s280", "flags": ["s282"]}}}
        """

    @Test func everyFieldIsRead() throws {
        let bytes = Array(Self.everything.utf8)
        let spec = try StrictJSON.decode(RuntimeSpec.self, from: bytes, what: "config.json")
        let written = try StrictJSON.parse(StrictJSON.encode(spec), what: "written")
        #expect(sorted(written) == sorted(try StrictJSON.parse(bytes, what: "config.json")))
    }

    /// The other way round: a field that is encoded and stands in no document here would be missed above.
    @Test func everyFieldOfTheTypesStandsInTheDocument() throws {
        let spec = try StrictJSON.decode(RuntimeSpec.self, from: Array(Self.everything.utf8), what: "config.json")
        #expect(absent(in: spec) == [])
    }

    @Test(arguments: [
        (#"{"ociVersion": "1.0.2", "process": {"cwd": "/", "args": ["a", 1]}}"#, "process.args[1]: must be a string"),
        (
            #"{"ociVersion": "1.0.2", "linux": {"sysctl": {"a": true}}}"#,
            "linux.sysctl.a: must be a string, not a boolean"
        ),
        (#"{"ociVersion": "1.0.2", "process": {}}"#, "process.cwd: is missing"),
        (#"{"ociVersion": null}"#, "ociVersion: must be a string, not null"),
        (#"{"ociVersion": "1.0.2", "mounts": {}}"#, "mounts: must be an array, not an object"),
        (#"[]"#, "must be an object, not an array"),
    ])
    func errorsNameTheField(_ text: String, _ error: String) {
        let thrown = #expect(throws: BerthError.self) {
            try StrictJSON.decode(RuntimeSpec.self, from: Array(text.utf8), what: "config.json")
        }
        #expect(thrown?.description.contains(error) == true, "\(String(describing: thrown))")
    }

    @Test func aTypeThatCodableReadsHasTheWholePathInItsErrors() {
        struct Outer: Codable { var inner: [RuntimeSpec.Root] }
        let thrown = #expect(throws: BerthError.self) {
            try StrictJSON.decode(Outer.self, from: Array(#"{"inner": [{"path": 7}]}"#.utf8), what: "outer")
        }
        #expect(thrown?.description.contains("outer: inner[0].path: must be a string") == true)
    }

    @Test func nullIsAsGoodAsAbsent() throws {
        let text = #"{"ociVersion": "1.0.2", "process": null, "mounts": null}"#
        let spec = try StrictJSON.decode(RuntimeSpec.self, from: Array(text.utf8), what: "config.json")
        #expect(spec.process == nil && spec.mounts == nil)
    }

    /// Members by name, all the way down.
    private func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(members.map { .init($0.key, sorted($0.value)) }.sorted { $0.key < $1.key })
        case .array(let elements): .array(elements.map(sorted))
        default: value
        }
    }

    /// The paths of what is nil or empty below a value.
    private func absent(in value: Any, path: String = "") -> [String] {
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional {
            guard let child = mirror.children.first else { return [path] }
            return absent(in: child.value, path: path)
        }
        guard mirror.displayStyle != .collection && mirror.displayStyle != .dictionary || !mirror.children.isEmpty
        else {
            return [path]
        }
        return mirror.children.flatMap { absent(in: $0.value, path: "\(path).\($0.label ?? "")") }
    }
}
