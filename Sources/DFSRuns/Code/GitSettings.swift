/// What is asked of git's configuration.
struct GitSettings {
    /// Name and URL, without credentials, in order of names.
    private(set) var remotes = [GitFacts.Remote]()
    /// Objects are fetched from a remote when they are asked for.
    private(set) var isPartial = false
    /// `core.worktree` as written.
    private(set) var workTree: String?

    static let arguments = [
        "config", "-z", "--get-regexp", #"^(remote\..*\.(url|promisor)|core\.worktree|extensions\.partialclone)$"#,
    ]

    init(_ answer: Result<[UInt8], GitFailure>) {
        guard case .success(let output) = answer else { return }
        NulTerminated.forEach(output) { record in
            let text = String(decoding: record, as: UTF8.self)
            guard let end = text.firstIndex(of: "\n") else { return }
            let (name, value) = (text[..<end], String(text[text.index(after: end)...]))
            if name == "core.worktree" {
                workTree = value
            } else if name.hasSuffix(".promisor") || name == "extensions.partialclone" {
                isPartial = isPartial || value != "false"
            } else if name.hasPrefix("remote."), name.hasSuffix(".url") {
                let remote = String(name.dropFirst(7).dropLast(4))
                remotes.append(GitFacts.Remote(name: remote, url: RemoteURL.withoutCredentials(value)))
            }
        }
        remotes.sort { ($0.name, $0.url) < ($1.name, $1.url) }
    }
}
