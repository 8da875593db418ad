/// The ignore rules in force at a place of a walk: those of the directory itself and of all above it.
///
/// A value of one walk, on one thread. Deeper files win over higher ones, later files of a directory over earlier ones,
/// later patterns over earlier ones. As in git, what lies below an ignored directory is ignored whatever is said of it:
/// a walk does not enter such a directory.
package struct IgnoreStack {
    private struct Level {
        let rules: IgnoreRules
        /// Length of `path` at the rules' own directory.
        let base: Int
    }

    private var levels = [Level]()
    /// The current directory with a slash after each component.
    private var path = [UInt8]()
    /// What `pop` goes back to.
    private var marks = [(path: Int, levels: Int)]()

    /// At the top, under `rules` in rising order of precedence.
    package init(_ rules: [IgnoreRules]) { add(rules) }

    private mutating func add(_ rules: [IgnoreRules]) {
        for rules in rules where !rules.isEmpty { levels.append(Level(rules: rules, base: path.count)) }
    }

    package var isEmpty: Bool { levels.isEmpty }

    /// The same place, with `rules` of the current directory added in rising order of precedence.
    package func with(_ rules: [IgnoreRules]) -> IgnoreStack {
        var copy = self
        copy.add(rules)
        return copy
    }

    /// Enters a directory of the current one, which has `rules` of its own in rising order of precedence.
    package mutating func push(_ name: [UInt8], _ rules: [IgnoreRules] = []) {
        marks.append((path.count, levels.count))
        path += name
        path.append(UInt8(ascii: "/"))
        add(rules)
    }

    /// Goes back to the directory above.
    package mutating func pop() {
        guard let mark = marks.popLast() else { return }
        path.removeLast(path.count - mark.path)
        levels.removeLast(levels.count - mark.levels)
    }

    /// What the rules say of an entry of the current directory.
    package func decision(_ name: [UInt8], isDirectory: Bool) -> IgnoreDecision {
        if levels.isEmpty { return .none }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: path.count + name.count) { full in
            _ = full.initialize(fromContentsOf: path)
            _ = full[path.count...].initialize(fromContentsOf: name)
            for level in levels.reversed() {
                let decision = level.rules.decision(
                    UnsafeBufferPointer(rebasing: full[level.base...]), nameStart: path.count - level.base,
                    isDirectory: isDirectory)
                if decision != .none { return decision }
            }
            return .none
        }
    }

    /// Whether an entry of the current directory is ignored.
    package func isIgnored(_ name: [UInt8], isDirectory: Bool) -> Bool {
        decision(name, isDirectory: isDirectory) == .ignored
    }

    /// Whether a path below the current directory is ignored, itself or through a directory above it.
    /// `rules` gives the rules of the directories on the way, named by their components.
    package func isIgnored(
        path components: [[UInt8]], isDirectory: Bool, rules: (ArraySlice<[UInt8]>) -> [IgnoreRules] = { _ in [] }
    ) -> Bool {
        var walk = self
        for (i, name) in components.enumerated() {
            let isLast = i == components.count - 1
            if walk.isIgnored(name, isDirectory: isLast ? isDirectory : true) { return true }
            if !isLast { walk.push(name, rules(components[...i])) }
        }
        return false
    }
}
