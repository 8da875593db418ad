import DFSModel
import DFSSystem
import Synchronization
import Testing

@Suite struct WorkStackTests {
    @Test func runsJobsThatPushJobs() throws {
        let stack = WorkStack<Int>()
        let done = Counter()
        stack.push(12)
        try stack.run(threads: 4) { _, depth throws(DFSError) in
            done.increment()
            if depth > 0 { stack.push([depth - 1, depth - 1]) }
        }
        #expect(done.current == (1 << 13) - 1)
    }

    @Test func firstErrorEndsIt() throws {
        let stack = WorkStack<Int>()
        stack.push(Array(0..<1000))
        #expect(throws: DFSError.self) {
            try stack.run(threads: 2) { _, job throws(DFSError) in
                if job == 500 { throw DFSError(.operational, "stop") }
                // Would go on for ever if jobs were still taken after the error.
                if job < 500 { stack.push(job) }
            }
        }
    }
}

@Suite struct BoundedCacheTests {
    @Test func keepsWhatIsUsedAndStaysBounded() {
        let cache = BoundedCache<Int, Int>(limit: 100)
        cache.insert(0, for: 0, cost: 1)
        for i in 1..<10_000 {
            cache.insert(i, for: i, cost: 1)
            #expect(cache[0] == 0)
        }
        #expect((1..<10_000).count { cache[$0] != nil } <= 100)
    }
}
