import DFSModel

/// `or` binds least, then `and`, then `not`.
struct ConditionParser {
    private var lexer: ConditionLexer
    private var token: ConditionLexer.Token
    private var place: Int
    private(set) var names: [String] = []
    private var depth = 0

    /// Deeper conditions are nobody's.
    private static let deepest = 100

    init(_ text: String, option: String) throws(DFSError) {
        lexer = ConditionLexer(text, option: option)
        (token, place) = try lexer.next()
    }

    mutating func parse() throws(DFSError) -> RunCondition.Node {
        let node = try either()
        guard token == .end else { throw lexer.problem("expected and, or, or the end", at: place) }
        return node
    }

    private mutating func advance() throws(DFSError) { (token, place) = try lexer.next() }

    /// Takes a word that joins conditions, in either case.
    private mutating func take(_ word: String) throws(DFSError) -> Bool {
        guard case .word(let text) = token, text.lowercased() == word else { return false }
        try advance()
        return true
    }

    private mutating func either() throws(DFSError) -> RunCondition.Node {
        var node = try both()
        while try take("or") { node = .or(node, try both()) }
        return node
    }

    private mutating func both() throws(DFSError) -> RunCondition.Node {
        var node = try one()
        while try take("and") { node = .and(node, try one()) }
        return node
    }

    private mutating func one() throws(DFSError) -> RunCondition.Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw lexer.problem("nested too deeply", at: place) }
        if try take("not") { return .not(try one()) }
        guard token == .open else { return try comparison() }
        let start = place
        try advance()
        let node = try either()
        guard token == .close else {
            throw lexer.problem("the parenthesis of character \(start + 1) is not closed", at: place)
        }
        try advance()
        return node
    }

    private mutating func comparison() throws(DFSError) -> RunCondition.Node {
        let name: String
        switch token {
        case .word(let word) where !["and", "or", "not"].contains(word.lowercased()): name = word
        case .name(let word): name = word
        default: throw lexer.problem("expected the name of a metric, a parameter or a fact", at: place)
        }
        try advance()
        guard case .comparison(let comparison) = token else {
            throw lexer.problem("expected a comparison (= != < <= > >=)", at: place)
        }
        try advance()
        let value: RunValue
        switch token {
        case .number(let number): value = .number(number)
        case .text(let text): value = .text(text)
        case .word(let word): value = ConditionLexer.word(word).map { .number($0) } ?? .text(word)
        default: throw lexer.problem("expected a number or a text", at: place)
        }
        try advance()
        names.append(name)
        return .comparison(name, comparison, value)
    }
}
