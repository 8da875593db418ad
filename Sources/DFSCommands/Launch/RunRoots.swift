import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import Glibc

/// Further roots of a run (`--code`): libraries beside the project. Each is recorded as a snapshot of its own project, before the
/// run, which names it.
struct RunRoots {
    let context: CommandContext
    let repository: Repository
    let request: LaunchRequest
    let signer: any Signer

    /// In the order in which they are mounted: what lies in another comes after it.
    func take(besides main: CapturedCode) throws(DFSError) -> [CapturedCode] {
        var roots = [CapturedCode]()
        for recorded in request.roots { roots.append(CapturedCode(recorded, repository)) }
        if case .directories(let paths) = request.code {
            for path in paths { roots.append(try capture(path, besides: [main] + roots)) }
        }
        return roots.sorted { $0.survey.root.utf8.count < $1.survey.root.utf8.count }
    }

    private func capture(_ path: String, besides others: [CapturedCode]) throws(DFSError) -> CapturedCode {
        let directory = try request.environment.absolute(path)
        guard Files.isDirectory(directory) else {
            throw DFSError(
                .noReference, "--code \(path) is no directory", cause: "a root of code is one",
                hint: "ls -ld \(ShellText.quote(directory))")
        }
        let capture = ProjectCapture(
            context: context, repository: repository, project: try ProjectFile.find(from: directory),
            allowSecrets: request.allowSecrets, hint: ProjectCapture.runHint)
        let survey = try capture.survey(from: directory)
        if let other = others.first(where: { Self.isIn(survey.root, $0.survey) }) {
            throw DFSError(
                .usage, "--code \(path) is captured already", cause: "it belongs to \(other.survey.root)",
                hint: "leave it out")
        }
        return try capture.record(from: directory, by: signer)
    }

    /// Whether the directory is another root, or a part of it that is not left out.
    private static func isIn(_ root: String, _ other: CodeSurvey) -> Bool {
        if root == other.root { return true }
        guard root.hasPrefix(other.root + "/") else { return false }
        let inside = root.utf8.dropFirst(other.root.utf8.count).split(separator: UInt8(ascii: "/")).map { Array($0) }
        return other.exclusions.shouldVisit(inside, isDirectory: true)
    }

    // MARK: What was written there

    private static let listed = 1000

    /// For the result, in the order of the plan's roots: what the job wrote into each. It is listed, not kept.
    static func written(_ plan: RunPlan, in live: LiveRun) -> JSONValue {
        .array(
            plan.roots.enumerated().map { number, root in
                var members: [String: JSONValue] = ["project": .string(root.project)]
                if plan.request.inPlace || plan.capabilities.namespace == .none {
                    members["unknown"] = "the job saw the directory itself"
                } else if Files.exists(live.rootCopy(number)) {
                    members["unknown"] = "the job had a copy, in which nobody looked"
                } else {
                    let files = files(in: live.rootLayer(number) + "/upper")
                    members["count"] = .integer(Int64(files.count))
                    members["files"] = .array(
                        files.prefix(listed).map {
                            ["path": .string(NameText.encode($0.path)), "size": .integer(Int64(clamping: $0.size))]
                        })
                }
                return .object(members)
            })
    }

    /// All that is no directory, without Python's caches, in order of paths. What cannot be read is passed over.
    private static func files(in directory: String) -> [(path: [UInt8], size: UInt64)] {
        guard let top = try? OwnedDescriptor.open(directory, O_RDONLY | O_DIRECTORY) else { return [] }
        var found = [(path: [UInt8], size: UInt64)]()
        var pending = [[UInt8]()]
        while let path = pending.popLast() {
            let place = path.isEmpty ? [UInt8(ascii: ".")] : path
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
            guard let folder = try? OwnedDescriptor.open(bytes: place, flags, at: top.raw),
                let names = try? DirectoryListing.names(of: folder)
            else { continue }
            for name in names {
                let full = path + (path.isEmpty ? [] : [UInt8(ascii: "/")]) + name
                guard !ExcludedPath.isPythonCache(full), let status = (try? FileStatus.of(name, at: folder.raw)) ?? nil
                else { continue }
                if status.kind == .directory { pending.append(full) } else { found.append((full, status.size)) }
            }
        }
        return found.sorted { ByteOrder.precedes($0.path, $1.path) }
    }
}

extension CapturedCode {
    /// A recorded snapshot, of which nothing is captured.
    init(_ code: RecordedCode, _ repository: Repository) {
        self.init(
            survey: code.survey, git: code.git, project: code.project, tree: code.snapshot.tree,
            snapshot: code.snapshot.id, isNew: false, writer: StoreWriter(store: repository.objects), previous: nil)
    }
}
