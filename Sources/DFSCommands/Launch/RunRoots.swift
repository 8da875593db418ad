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

    /// For the result: what the job wrote into a root, by number of the root. It is listed, not kept.
    static func written(_ roots: [CapturedCode], in live: LiveRun) -> JSONValue {
        .array(
            roots.indices.map { number in
                var files = [(path: [UInt8], size: UInt64)]()
                var pending = [[UInt8]()]
                let top = try? OwnedDescriptor.open(live.rootLayer(number) + "/upper", O_RDONLY | O_DIRECTORY)
                while let top, let path = pending.popLast() {
                    let place = path.isEmpty ? [UInt8(ascii: ".")] : path
                    guard
                        let folder = try? OwnedDescriptor.open(
                            bytes: place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: top.raw),
                        let names = try? DirectoryListing.names(of: folder)
                    else { continue }
                    for name in names {
                        let full = path + (path.isEmpty ? [] : [UInt8(ascii: "/")]) + name
                        guard !ExcludedPath.isPythonCache(full),
                            let status = (try? FileStatus.of(name, at: folder.raw)) ?? nil
                        else { continue }
                        if status.kind == .directory { pending.append(full) } else { files.append((full, status.size)) }
                    }
                }
                files.sort { ByteOrder.precedes($0.path, $1.path) }
                return [
                    "project": .string(roots[number].project), "count": .integer(Int64(files.count)),
                    "files": .array(
                        files.prefix(listed).map {
                            ["path": .string(NameText.encode($0.path)), "size": .integer(Int64(clamping: $0.size))]
                        }),
                ]
            })
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
