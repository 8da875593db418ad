import DFSModel

/// Where this program keeps what belongs to the user and the host (XDG base directories). Nothing is made here.
package struct Directories: Sendable {
    private let environment: ProcessEnvironment

    package init(_ environment: ProcessEnvironment) { self.environment = environment }

    /// Derived data, deletable at any time: `$XDG_CACHE_HOME/dfs`.
    package func cache() throws(DFSError) -> String { try base("XDG_CACHE_HOME", ".cache") + "/dfs" }

    /// `$XDG_CONFIG_HOME/dfs`
    package func configuration() throws(DFSError) -> String { try base("XDG_CONFIG_HOME", ".config") + "/dfs" }

    /// `$XDG_DATA_HOME/dfs`
    package func data() throws(DFSError) -> String { try base("XDG_DATA_HOME", ".local/share") + "/dfs" }

    /// The user's settings.
    package func configurationFile() throws(DFSError) -> String { try configuration() + "/config.toml" }

    /// The user's signing key, an OpenSSH private key file.
    package func keyFile() throws(DFSError) -> String { try configuration() + "/key" }

    /// Sockets and mounts of this login: `$XDG_RUNTIME_DIR/dfs`, else the cache.
    package func runtime() throws(DFSError) -> String {
        if let directory = absolute("XDG_RUNTIME_DIR") { return directory + "/dfs" }
        return try cache()
    }

    /// Where the mounts of runs are, one directory each.
    func views() throws(DFSError) -> String { try runtime() + "/views" }

    private func base(_ variable: String, _ beneathHome: String) throws(DFSError) -> String {
        if let directory = absolute(variable) { return directory }
        guard let home = environment.home else {
            throw DFSError(
                .operational, "there is no home directory", cause: "neither HOME nor \(variable) is set",
                hint: "export HOME=/tmp/$(id -un)")
        }
        return (home == "/" ? "" : home) + "/" + beneathHome
    }

    /// The specification has relative paths ignored.
    private func absolute(_ variable: String) -> String? {
        guard let value = environment[variable], value.hasPrefix("/") else { return nil }
        return value
    }
}
