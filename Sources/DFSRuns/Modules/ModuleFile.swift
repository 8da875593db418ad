import DFSModel
import DFSSystem

/// What an opened file is as a Python module.
struct ModuleFile: Hashable {
    enum Origin: Hashable {
        /// In a directory of installed packages: the directory, and the path in it.
        case installed(site: String, relative: String)
        case standardLibrary
        case project
        /// Elsewhere: an editable install, PYTHONPATH, a script.
        case outside
    }

    /// The source, or the extension module.
    let path: String
    let origin: Origin

    /// `nil` of what is no module: `.py`, `.pyc` (which stands for its source) and extension modules are.
    /// `library` is the folder of the standard library; `project` the roots of the code.
    init?(opened path: String, library: String?, project: [String]) {
        guard let source = Self.source(of: path) else { return nil }
        self.path = source
        if let (site, relative) = Self.installed(source) {
            origin = .installed(site: site, relative: relative)
        } else if let library, source.hasPrefix(library + "/") || Self.isStandard(source) {
            origin = .standardLibrary
        } else if project.contains(where: { source.hasPrefix($0 + "/") }) {
            origin = .project
        } else if source.hasSuffix(".so") && !Self.isExtension(source) {
            return nil
        } else {
            origin = .outside
        }
    }

    /// Of `dir/__pycache__/name.cpython-311.opt-1.pyc` it is `dir/name.py` (PEP 3147).
    private static func source(of path: String) -> String? {
        if path.hasSuffix(".py") || path.hasSuffix(".so") { return path }
        guard path.hasSuffix(".pyc") else { return nil }
        let folder = Files.parent(path)
        guard folder.hasSuffix("/__pycache__") else { return path }
        let name = PythonFinder.name(path)
        guard let dot = name.firstIndex(of: ".") else { return nil }
        return Files.parent(folder) + "/" + name[..<dot] + ".py"
    }

    private static func installed(_ path: String) -> (String, String)? {
        for mark in ["/site-packages/", "/dist-packages/"] {
            guard let range = path.firstRange(of: mark) else { continue }
            return (String(path[..<range.upperBound].dropLast()), String(path[range.upperBound...]))
        }
        return nil
    }

    /// `…/lib/python3.11/…` of an interpreter that the host record does not describe.
    private static func isStandard(_ path: String) -> Bool {
        path.contains("/lib-dynload/") || path.contains("/lib/python3.") || path.contains("/lib64/python3.")
    }

    /// Names that only Python's import machinery gives (PEP 3149, PEP 384).
    private static func isExtension(_ path: String) -> Bool {
        path.contains(".cpython-") || path.hasSuffix(".abi3.so") || path.contains(".pypy")
    }
}
