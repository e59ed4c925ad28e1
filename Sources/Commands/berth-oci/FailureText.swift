/// What a verb says when it fails, in the shape that people and engines know from runc.
enum FailureText {
    static func text(_ error: any Error, verb: String) -> String {
        let message = "\(error)"
        // Of a program that could not be run, people read it as a shell would say it.
        guard ["create", "run", "restore"].contains(verb), !message.hasPrefix("exec ") else { return message }
        let failed = "\(OwnUser.programName) \(verb) failed: "
        let unable = failed + "unable to start container process: "
        if message.hasPrefix("make cgroup ") { return unable + "unable to apply cgroup configuration: " + message }
        guard message.hasPrefix("bind ") || message.hasPrefix("mount ") else { return failed + message }
        return unable + "error during container init: error mounting: " + message
    }
}
