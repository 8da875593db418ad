import ArgumentParser
import DFSModel

/// Which command an argument list names, found before it is parsed: global options may stand before the command's
/// name, and a name that does not exist deserves a better answer than "unexpected argument".
struct CommandPath {
    /// The names that lead to the command, or to the group at which they end; without the program's.
    let names: [String]
    /// The arguments as the parser wants them, names first.
    let arguments: [String]

    init(_ given: [String], root: any ParsableCommand.Type) throws(DFSError) {
        var (command, names, options, rest) = (root, [String](), [String](), given[...])
        var isHelp = false
        while !command.configuration.subcommands.isEmpty, let word = rest.first {
            let length = GlobalOptions.length(atFrontOf: rest)
            if length > 0 {
                options += rest.prefix(length)
                rest = rest.dropFirst(length)
                continue
            }
            if word.hasPrefix("-") { break }
            rest = rest.dropFirst()
            // The parser's own; what follows is a command's name again.
            if names.isEmpty, !isHelp, word == "help" {
                isHelp = true
                continue
            }
            guard let next = Self.child(of: command, named: word) else {
                throw Suggestion.unknown(word, after: names, before: Array(rest), of: command, root: root)
            }
            names.append(word)
            command = next
        }
        // A group may be a command as well, for those who name none of its own.
        let isLeaf = command.configuration.subcommands.isEmpty || command.configuration.defaultSubcommand != nil
        self.names = names
        arguments = (isHelp ? ["help"] : []) + names + (isLeaf && !isHelp ? options : []) + rest
    }

    private static func child(of command: any ParsableCommand.Type, named name: String) -> (any ParsableCommand.Type)? {
        command.configuration.subcommands.first {
            $0._commandName == name || $0.configuration.aliases.contains(name)
        }
    }
}
