/// Requests that each of up to 20 passes made, ending with the first that made none.
///
/// The kernel may drop pages at any time (DAMON does, without being short of memory, while a machine is busy), so one
/// pass over files that it caches can cost some requests; a pass that it leaves alone asks nothing.
package func requestsOfPasses(counter: () throws -> Int64, pass: () throws -> Void) throws -> [Int64] {
    var asked = [Int64]()
    repeat {
        let before = try counter()
        try pass()
        asked.append(try counter() - before)
    } while asked.last != 0 && asked.count < 20
    return asked
}
