import DFSChunking
import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem

/// Puts back modules that a run imported from outside its code and its environment (editable installs, PYTHONPATH), where this
/// machine lacks them or has others.
struct ImportedMounts: Sendable {
    private let run: RunID
    /// Paths below `evidence/imported`, which are absolute paths without their slash, in order: files, and directories that are
    /// not there at all.
    let paths: [[UInt8]]

    private static let folder = Array("imported".utf8)
    /// Modules are small; a file of that size is none.
    private static let largest = 64 << 20

    /// `nil` where there is nothing to put back.
    init?(of run: RunRecord, _ repository: Repository) throws(DFSError) {
        guard let end = run.end, let evidence = end.evidence,
            let root = try repository.reader.entry(at: [Self.folder], below: .root(evidence, modified: end.time))
        else { return nil }
        var paths = [[UInt8]]()
        var pending = [(path: [UInt8](), entry: root)]
        while let (path, entry) = pending.popLast() {
            guard let node = entry.address else { continue }
            for child in try repository.reader.entries(of: node) {
                let inside = path.isEmpty ? child.name : path + [0x2f] + child.name
                let place = "/" + NameText.display(inside)
                switch child.kind {
                case .directory:
                    if Files.isDirectory(place) { pending.append((inside, child)) } else { paths.append(inside) }
                case .file:
                    let here = (try? Files.readRegular(place, limit: Self.largest)).flatMap { $0 }
                    if here.map({ Digest.of($0) }) != child.content.digest { paths.append(inside) }
                case .symlink: continue
                }
            }
        }
        guard !paths.isEmpty else { return nil }
        self.run = run.id
        self.paths = paths.sorted { ByteOrder.precedes($0, $1) }
    }

    var words: String {
        "\(Quantity.count(paths.count, "module path")) from outside as of run \(run.short): /\(NameText.display(paths[0]))"
    }

    var json: JSONValue {
        ["run": .string(run.description), "paths": .array(paths.map { .string("/" + NameText.encode($0)) })]
    }

    func steps(history: String) -> [EnterPlan.Step] {
        let source = RawPath("\(history)/runs/\(run)/evidence/imported")
        return paths.map { .bind(source: source.appending($0), at: RawPath([0x2f] + $0), .readOnly) }
    }
}
