import ArgumentParser
import DFSHistory
import DFSModel
import DFSStore

/// `dfs cat`: the bytes of files.
struct Concatenate: DFSCommand {
    static let configuration = CommandConfiguration(commandName: "cat", abstract: "Print the bytes of files.")

    @Argument(help: ArgumentHelp("References with paths, such as faces@v3/a.txt.", valueName: "ref/path"))
    var references: [String]
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        for reference in references {
            if let document = try context.document(reference, resolver) {
                try context.output.write(document)
                continue
            }
            let target = try context.resolve(reference, resolver)
            let file = try follow(target, resolver)
            guard file.kind == .file else {
                throw DFSError(
                    .usage, "\(target.resolved.text) is a directory", cause: "only files have bytes",
                    hint: "dfs ls \(ShellText.quote(reference))")
            }
            try FileBytes(repository.reader, file).forEach { piece throws(DFSError) in
                try context.output.write(piece)
            }
        }
        return .done
    }

    /// Follows symlinks as far as they stay inside the tree.
    private func follow(_ target: Target, _ resolver: Resolver) throws(DFSError) -> TreeEntry {
        var reference = target.reference
        var entry = target.resolved.entry
        for _ in 0..<40 {
            guard entry.kind == .symlink else { return entry }
            var path = Array(reference.path.dropLast())
            let parts = entry.target.split(separator: UInt8(ascii: "/")).map(Array.init)
            var isInside = entry.target.first != UInt8(ascii: "/")
            for part in parts where part != Array(".".utf8) {
                if part == Array("..".utf8) { isInside = isInside && path.popLast() != nil } else { path.append(part) }
            }
            guard isInside else { break }
            reference = reference.with(path: path)
            entry = try resolver.resolve(reference).entry
        }
        throw DFSError(
            .noReference, "\(target.resolved.text) is a symlink that leads nowhere",
            cause: "its target is \(NameText.display(entry.target))", hint: "dfs show \(target.resolved.text)")
    }
}

/// A file's content in pieces.
struct FileBytes {
    private static let piece = 1 << 20
    private let reader: TreeReader
    private let file: TreeEntry

    init(_ reader: TreeReader, _ file: TreeEntry) {
        self.reader = reader
        self.file = file
    }

    func forEach(from start: UInt64 = 0, _ body: ([UInt8]) throws(DFSError) -> Void) throws(DFSError) {
        var at = start
        while at < file.size {
            var failure: DFSError?
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.piece) { buffer, count in
                do throws(DFSError) {
                    count = try reader.read(file, at: at, into: UnsafeMutableRawBufferPointer(buffer))
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            guard !bytes.isEmpty else {
                throw DFSError(.corrupt, "\(NameText.display(file.name)) ends early", hint: "dfs verify --data")
            }
            try body(bytes)
            at += UInt64(bytes.count)
        }
    }
}
