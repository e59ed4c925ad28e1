// How config.json is read: JSONDecodable says why by hand. Names are those of the document.

extension RuntimeSpec {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        ociVersion = try object.required("ociVersion")
        process = try object.optional("process")
        root = try object.optional("root")
        hostname = try object.optional("hostname")
        domainname = try object.optional("domainname")
        mounts = try object.optional("mounts")
        hooks = try object.optional("hooks")
        annotations = try object.optional("annotations")
        linux = try object.optional("linux")
    }
}

extension RuntimeSpec.Root {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        path = try object.required("path")
        readonly = try object.optional("readonly")
    }
}

extension RuntimeSpec.Mount {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        destination = try object.required("destination")
        type = try object.optional("type")
        source = try object.optional("source")
        options = try object.optional("options")
        uidMappings = try object.optional("uidMappings")
        gidMappings = try object.optional("gidMappings")
    }
}

extension RuntimeSpec.IDMapping {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        containerID = try object.required("containerID")
        hostID = try object.required("hostID")
        size = try object.required("size")
    }
}

extension RuntimeSpec.Hook {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        path = try object.required("path")
        args = try object.optional("args")
        env = try object.optional("env")
        timeout = try object.optional("timeout")
    }
}

extension RuntimeSpec.Hooks {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        prestart = try object.optional("prestart")
        createRuntime = try object.optional("createRuntime")
        createContainer = try object.optional("createContainer")
        startContainer = try object.optional("startContainer")
        poststart = try object.optional("poststart")
        poststop = try object.optional("poststop")
    }
}

extension RuntimeSpec.Process {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        terminal = try object.optional("terminal")
        consoleSize = try object.optional("consoleSize")
        user = try object.optional("user")
        args = try object.optional("args")
        commandLine = try object.optional("commandLine")
        env = try object.optional("env")
        cwd = try object.required("cwd")
        capabilities = try object.optional("capabilities")
        rlimits = try object.optional("rlimits")
        noNewPrivileges = try object.optional("noNewPrivileges")
        apparmorProfile = try object.optional("apparmorProfile")
        oomScoreAdj = try object.optional("oomScoreAdj")
        scheduler = try object.optional("scheduler")
        selinuxLabel = try object.optional("selinuxLabel")
        ioPriority = try object.optional("ioPriority")
        execCPUAffinity = try object.optional("execCPUAffinity")
    }
}

extension RuntimeSpec.Process.ConsoleSize {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        height = try object.required("height")
        width = try object.required("width")
    }
}

extension RuntimeSpec.Process.User {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        // What is left out is 0, as the engines' own readers have it.
        uid = try object.optional("uid") ?? 0
        gid = try object.optional("gid") ?? 0
        umask = try object.optional("umask")
        additionalGids = try object.optional("additionalGids")
        username = try object.optional("username")
    }
}

extension RuntimeSpec.Process.Capabilities {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        bounding = try object.optional("bounding")
        effective = try object.optional("effective")
        inheritable = try object.optional("inheritable")
        permitted = try object.optional("permitted")
        ambient = try object.optional("ambient")
    }
}

extension RuntimeSpec.Process.Rlimit {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        type = try object.required("type")
        soft = try object.required("soft")
        hard = try object.required("hard")
    }
}

extension RuntimeSpec.Process.Scheduler {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        policy = try object.required("policy")
        nice = try object.optional("nice")
        priority = try object.optional("priority")
        flags = try object.optional("flags")
        runtime = try object.optional("runtime")
        deadline = try object.optional("deadline")
        period = try object.optional("period")
    }
}

extension RuntimeSpec.Process.IOPriority {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        `class` = try object.required("class")
        priority = try object.optional("priority")
    }
}

extension RuntimeSpec.Process.ExecCPUAffinity {
    public init(json: JSONValue) throws(JSONFieldError) {
        let object = try JSONObject(json)
        initial = try object.optional("initial")
        final = try object.optional("final")
    }
}
