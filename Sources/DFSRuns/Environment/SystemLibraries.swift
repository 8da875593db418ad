import DFSModel
import DFSSystem

/// Which libraries of a system belong together.
enum SystemLibraries {
    /// Whether a file is part of glibc: its parts talk to each other through private interfaces, and work only as they were
    /// built together, with the loader.
    static func isOfLibc(_ name: String) -> Bool {
        name.hasPrefix("ld-linux") || name.hasPrefix("libnss_")
            || libc.contains { name.hasPrefix($0 + ".so") || name.hasPrefix($0 + "-") }
    }

    private static let libc = [
        "libc", "libm", "libmvec", "libpthread", "libdl", "librt", "libutil", "libresolv", "libanl", "libnsl",
        "libBrokenLocale", "libc_malloc_debug", "libthread_db", "libmemusage", "libpcprofile",
    ]

    /// Whether a file belongs to the GPU's driver, whose halves in kernel and libraries must be of one version.
    static func isOfDriver(_ path: String) -> Bool {
        let name = PythonFinder.name(path)
        return name.hasPrefix("libcuda.so") || name.hasPrefix("libnvidia-") || name.hasPrefix("libnvcuvid.so")
            || path.hasPrefix("/usr/lib/wsl/")
    }

    /// The whole of glibc, where one of its parts is in `paths`.
    static func family(of paths: [String]) -> [String] {
        let folders = Set(paths.filter { PythonFinder.name($0) == "libc.so.6" }.map { Files.parent($0) })
        return folders.sorted().flatMap { folder in
            ((try? DirectoryListing.names(of: folder)) ?? []).map { String(decoding: $0, as: UTF8.self) }
                .filter { $0.contains(".so") && isOfLibc($0) }.map { folder + "/" + $0 }
        }
    }

    /// `2.36` of `glibc 2.36` as numbers that compare.
    static func version(_ libc: String?) -> [Int]? {
        guard let libc, libc.hasPrefix("glibc ") else { return nil }
        let numbers = libc.dropFirst(6).split(separator: ".").map { Int($0) }
        return numbers.contains(nil) ? nil : numbers.compactMap { $0 }
    }
}
