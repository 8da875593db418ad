import DFSModel

/// Names of the environment variables that two runs were started with, and what is known of their values.
package struct EnvironmentComparison: Sendable, Equatable {
    package let onlyA, onlyB: [String]
    /// Set in both, to other values, as the recorded values or the hashes that stand for them say.
    package let changed: [String]
    /// Set in both; nothing of the values is recorded on at least one side.
    package let unknown: Int

    package var isSame: Bool { onlyA.isEmpty && onlyB.isEmpty && changed.isEmpty }

    /// From the plans of two runs.
    init(_ a: JSONValue?, _ b: JSONValue?) {
        let (x, y) = (Self.names(a), Self.names(b))
        onlyA = x.subtracting(y).sorted()
        onlyB = y.subtracting(x).sorted()
        var changed = [String]()
        var unknown = 0
        for name in x.intersection(y) where !Self.isPassing(name) {
            guard let old = a?["environment"]?[name], let new = b?["environment"]?[name] else {
                unknown += 1
                continue
            }
            if old != new { changed.append(name) }
        }
        self.changed = changed.sorted()
        self.unknown = unknown
    }

    private static func names(_ plan: JSONValue?) -> Set<String> {
        let listed = (plan?["environment-names"]?.array ?? []).compactMap(\.string)
        return Set(listed).union((plan?["environment"]?.object ?? [:]).keys).filter { !isPassing($0) }
    }

    /// Variables that differ from one terminal or moment to the next and that no job computes with.
    private static func isPassing(_ name: String) -> Bool {
        passing.contains(name) || name.hasPrefix("DFS_RUN") || name.hasPrefix("SSH_") || name.hasPrefix("XDG_")
    }

    private static let passing: Set<String> = [
        "_", "COLUMNS", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "INVOCATION_ID", "JOURNAL_STREAM", "LINES", "OLDPWD",
        "PWD",
        "SHLVL", "STY", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "TMUX", "TMUX_PANE",
        "WAYLAND_DISPLAY", "WINDOWID",
    ]

    package var json: JSONValue {
        func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
        return [
            "isSame": .bool(isSame), "onlyA": list(onlyA), "onlyB": list(onlyB), "changed": list(changed),
            "unknown": .integer(Int64(unknown)),
        ]
    }
}
