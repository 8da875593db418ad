import DFSModel

/// Cuts a condition into words.
struct ConditionLexer {
    enum Token: Equatable {
        case word(String), text(String), number(Double), comparison(RunCondition.Comparison), open, close, end
        /// A word in back quotes, which is a name whatever is in it.
        case name(String)
    }

    private let characters: [Character]
    private var place = 0
    private let option: String

    init(_ text: String, option: String) {
        characters = Array(text)
        self.option = option
    }

    /// What was wrong where; characters are counted from 1.
    func problem(_ cause: String, at place: Int) -> DFSError {
        DFSError(
            .usage, "\(option) '\(String(characters))' cannot be read", cause: "\(cause) at character \(place + 1)",
            hint: "dfs runs \(option) 'acc > 0.9 and status = succeeded'")
    }

    /// The next word and where it begins.
    mutating func next() throws(DFSError) -> (token: Token, place: Int) {
        while place < characters.count, characters[place].isWhitespace { place += 1 }
        let start = place
        guard place < characters.count else { return (.end, start) }
        switch characters[place] {
        case "(": return (single(.open), start)
        case ")": return (single(.close), start)
        case "'", "\"": return (.text(try quoted()), start)
        case "`": return (.name(try quoted()), start)
        case "<", ">", "=", "!": return (.comparison(try comparison()), start)
        case let c where c.isNumber || c == "-" || c == "+" || c == ".": return (.number(try number()), start)
        case let c where Self.isOfWord(c): return (.word(word()), start)
        default: throw problem("\(characters[place]) means nothing", at: start)
        }
    }

    private mutating func single(_ token: Token) -> Token {
        place += 1
        return token
    }

    private static func isOfWord(_ c: Character) -> Bool { c.isLetter || c.isNumber || "_./-@:%".contains(c) }

    private mutating func word() -> String {
        let start = place
        while place < characters.count, Self.isOfWord(characters[place]) { place += 1 }
        return String(characters[start..<place])
    }

    private mutating func quoted() throws(DFSError) -> String {
        let start = place
        place += 1
        while place < characters.count, characters[place] != characters[start] { place += 1 }
        guard place < characters.count else { throw problem("the quote \(characters[start]) does not end", at: start) }
        place += 1
        return String(characters[start + 1..<place - 1])
    }

    private mutating func comparison() throws(DFSError) -> RunCondition.Comparison {
        for length in [2, 1] where place + length <= characters.count {
            let text = String(characters[place..<place + length])
            guard let found = RunCondition.Comparison(text) else { continue }
            place += length
            return found
        }
        throw problem("\(characters[place]) is no comparison (there are = != < <= > >=)", at: place)
    }

    private static let units: [String: Double] = ["s": 1, "min": 60, "h": 3600, "d": 86400]

    /// `0.9`, `-1e-3`, and `2h`, which is 7,200.
    private mutating func number() throws(DFSError) -> Double {
        let start = place
        if "+-".contains(characters[place]) { place += 1 }
        func isDigit(_ i: Int) -> Bool { i < characters.count && characters[i].isASCII && characters[i].isNumber }
        while isDigit(place) || (place < characters.count && characters[place] == ".") { place += 1 }
        if place < characters.count, "eE".contains(characters[place]) {
            let sign = place + 1 < characters.count && "+-".contains(characters[place + 1]) ? 1 : 0
            if isDigit(place + 1 + sign) {
                place += 1 + sign
                while isDigit(place) { place += 1 }
            }
        }
        let text = String(characters[start..<place])
        let unit = word()
        if text == "-" || text == "+" || text.isEmpty, let value = Self.word(unit) {
            return text == "-" ? -value : value
        }
        guard let value = Double(text) else { throw problem("\(text + unit) is not a number", at: start) }
        guard !unit.isEmpty else { return value }
        guard let factor = Self.units[unit] else {
            throw problem("\(text + unit) is not a number (units are s, min, h, d)", at: start)
        }
        return value * factor
    }

    /// `nan` and `inf`, as programs print them.
    static func word(_ text: String) -> Double? {
        switch text.lowercased() {
        case "nan": .nan
        case "inf", "infinity": .infinity
        default: nil
        }
    }
}
