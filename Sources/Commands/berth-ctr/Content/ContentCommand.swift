internal import ArgumentParser

struct ContentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "content", abstract: "Manage content: blobs named by their digest",
        discussion: """
            EXAMPLES:
              berth-ctr -n k8s.io content ls
              berth-ctr -n k8s.io content get sha256:DIGEST | python3 -m json.tool
              berth-ctr content ingest --expected-digest sha256:DIGEST key < FILE
            """,
        subcommands: [
            ListContent.self, GetContent.self, IngestContent.self, ActiveIngests.self, LabelContent.self,
            RemoveContent.self,
        ])
}
