import DFSModel
package final class Index: Sendable {
  package static func open(directory: String, identity: String, tables: [String]) throws(DFSError) -> Index { Index() }
  package var wasRebuilt: Bool { true }
  package func read<R>(_ body: (borrowing ReadTransaction) throws(DFSError) -> R) throws(DFSError) -> R { try body(ReadTransaction()) }
  package func write<R>(_ body: (borrowing WriteTransaction) throws(DFSError) -> R) throws(DFSError) -> R { try body(WriteTransaction()) }
}
package struct ReadTransaction: ~Copyable {
  package borrowing func get(_ table: String, _ key: [UInt8]) throws(DFSError) -> [UInt8]? { nil }
  package borrowing func withValue<R>(_ table: String, _ key: [UInt8], _ body: (UnsafeRawBufferPointer?) throws(DFSError) -> R) throws(DFSError) -> R { try body(nil) }
  package borrowing func forEach(_ table: String, prefix: [UInt8], from start: [UInt8]? = nil, _ body: ([UInt8], [UInt8]) throws(DFSError) -> Bool) throws(DFSError) {}
  package borrowing func last(_ table: String, prefix: [UInt8]) throws(DFSError) -> (key: [UInt8], value: [UInt8])? { nil }
}
package struct WriteTransaction: ~Copyable {
  package borrowing func get(_ table: String, _ key: [UInt8]) throws(DFSError) -> [UInt8]? { nil }
  package borrowing func last(_ table: String, prefix: [UInt8]) throws(DFSError) -> (key: [UInt8], value: [UInt8])? { nil }
  package borrowing func put(_ table: String, _ key: [UInt8], _ value: [UInt8]) throws(DFSError) {}
}
