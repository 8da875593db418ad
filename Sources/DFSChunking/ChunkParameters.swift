/// How large chunks are, in bytes. A store fixes these for its life.
package struct ChunkParameters: Sendable, Equatable {
    package let minimum: Int
    /// A power of two.
    package let average: Int
    package let maximum: Int

    package init(minimum: Int, average: Int, maximum: Int) {
        self.minimum = minimum
        self.average = average
        self.maximum = maximum
    }

    /// What a new store uses for files below 1 GiB.
    package static let standard = ChunkParameters(minimum: 16 << 10, average: 64 << 10, maximum: 256 << 10)
    /// What a new store uses from 1 GiB up, so that an index stays small.
    package static let large = ChunkParameters(minimum: 64 << 10, average: 256 << 10, maximum: 1 << 20)

    /// Whether a store may have these: at least 64 bytes, in order, the average a power of two, at most 16 MiB.
    package var isValid: Bool {
        minimum >= 64 && minimum < average && average < maximum && maximum <= 16 << 20
            && average.nonzeroBitCount == 1
    }
}
