// How the `linux` part of config.json is read.

extension RuntimeSpec.Linux {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        uidMappings = try object.optional("uidMappings")
        gidMappings = try object.optional("gidMappings")
        sysctl = try object.optional("sysctl")
        resources = try object.optional("resources")
        cgroupsPath = try object.optional("cgroupsPath")
        namespaces = try object.optional("namespaces")
        devices = try object.optional("devices")
        netDevices = try object.optional("netDevices")
        seccomp = try object.optional("seccomp")
        rootfsPropagation = try object.optional("rootfsPropagation")
        maskedPaths = try object.optional("maskedPaths")
        readonlyPaths = try object.optional("readonlyPaths")
        mountLabel = try object.optional("mountLabel")
        intelRdt = try object.optional("intelRdt")
        personality = try object.optional("personality")
        timeOffsets = try object.optional("timeOffsets")
        memoryPolicy = try object.optional("memoryPolicy")
    }
}

extension RuntimeSpec.Linux.Namespace {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        type = try object.required("type")
        path = try object.optional("path")
    }
}

extension RuntimeSpec.Linux.Device {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        path = try object.required("path")
        type = try object.required("type")
        major = try object.optional("major")
        minor = try object.optional("minor")
        fileMode = try object.optional("fileMode")
        uid = try object.optional("uid")
        gid = try object.optional("gid")
    }
}

extension RuntimeSpec.Linux.NetDevice {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        name = try object.optional("name")
    }
}

extension RuntimeSpec.Linux.IntelRdt {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        closID = try object.optional("closID")
        schemata = try object.optional("schemata")
        l3CacheSchema = try object.optional("l3CacheSchema")
        memBwSchema = try object.optional("memBwSchema")
        enableMonitoring = try object.optional("enableMonitoring")
        enableCMT = try object.optional("enableCMT")
        enableMBM = try object.optional("enableMBM")
    }
}

extension RuntimeSpec.Linux.Personality {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        domain = try object.required("domain")
        flags = try object.optional("flags")
    }
}

extension RuntimeSpec.Linux.TimeOffset {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        secs = try object.optional("secs")
        nanosecs = try object.optional("nanosecs")
    }
}

extension RuntimeSpec.Linux.MemoryPolicy {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        mode = try object.optional("mode")
        nodes = try object.optional("nodes")
        flags = try object.optional("flags")
    }
}

extension RuntimeSpec.Linux.Seccomp {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        defaultAction = try object.required("defaultAction")
        defaultErrnoRet = try object.optional("defaultErrnoRet")
        architectures = try object.optional("architectures")
        flags = try object.optional("flags")
        listenerPath = try object.optional("listenerPath")
        listenerMetadata = try object.optional("listenerMetadata")
        syscalls = try object.optional("syscalls")
    }
}

extension RuntimeSpec.Linux.Seccomp.Syscall {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        names = try object.required("names")
        action = try object.required("action")
        errnoRet = try object.optional("errnoRet")
        args = try object.optional("args")
    }
}

extension RuntimeSpec.Linux.Seccomp.Argument {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        index = try object.required("index")
        value = try object.required("value")
        valueTwo = try object.optional("valueTwo")
        op = try object.required("op")
    }
}
