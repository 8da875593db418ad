import DFSSystem
import Synchronization

/// What `BackingFiles` has standing, where the server that takes this one's place finds it.
final class OpenFiles: Sendable {
    /// Of opens and backing id, 0 for none.
    private typealias Payload = (opens: Int32, backing: Int32)

    private let file: Mutex<SlotFile>
    /// What a predecessor had open.
    let inherited: [BackingFiles.Standing]

    init(_ descriptor: OwnedDescriptor) {
        var file = SlotFile(descriptor)
        var standing = [BackingFiles.Standing]()
        file.restore { node, bytes in
            guard bytes.count == MemoryLayout<Payload>.size else { return }
            let payload = bytes.loadUnaligned(as: Payload.self)
            // Where its bytes lie is known to the kernel.
            let backing = payload.backing == 0 ? nil : BackingFiles.Backing(id: payload.backing, path: "")
            standing.append(BackingFiles.Standing(node: node, opens: Int(payload.opens), backing: backing))
        }
        self.file = Mutex(file)
        inherited = standing
    }

    func note(_ standing: BackingFiles.Standing) {
        file.withLock { file in
            guard standing.opens > 0 else { return file.remove(standing.node) }
            let payload: Payload = (Int32(clamping: standing.opens), standing.backing?.id ?? 0)
            withUnsafeBytes(of: payload) { file.set(standing.node, $0) }
        }
    }
}
