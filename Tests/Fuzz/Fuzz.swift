import DFSModel
import DFSTestSupport
import Glibc

/// The entry that libFuzzer calls with each input; which parser is driven, `DFS_FUZZ_PARSER` says (`tools/fuzz`).
private let parser: StoredParser = {
    let name = getenv("DFS_FUZZ_PARSER").map { String(cString: $0) } ?? ""
    guard let parser = StoredParser(rawValue: name) else {
        fatalError("DFS_FUZZ_PARSER is none of \(StoredParser.allCases.map(\.rawValue))")
    }
    return parser
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let problem = parser.problem(with: Array(UnsafeBufferPointer(start: start, count: count))) {
        fatalError(problem)
    }
    return 0
}
