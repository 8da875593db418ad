import CFuse3
import DFSModel
import DFSSystem
import Glibc

/// A connection that was made by another process, and perhaps served before.
package struct Inheritance: Sendable {
    /// The descriptor that requests come from; also held by the one that passed it on.
    let connection: OwnedDescriptor
    /// The minor device number of the mount.
    let number: UInt32
    let handshake: Handshake
    /// Where it is kept what the kernel reads by itself (`BackingSlots`).
    let backing: OwnedDescriptor

    package init(connection: OwnedDescriptor, number: UInt32, handshake: Handshake, backing: OwnedDescriptor) {
        self.connection = connection
        self.number = number
        self.handshake = handshake
        self.backing = backing
    }

    /// Lets libfuse believe that the connection begins, and asks the kernel again for what the predecessor took and did
    /// not answer. Does nothing for the first server.
    func takeUp(_ session: OpaquePointer, _ transport: FuseTransport) throws(DFSError) {
        guard var request = handshake.request else { return }
        request.withUnsafeMutableBytes { bytes in
            transport.replay(UnsafeRawBufferPointer(bytes))
            var buffer = fuse_buf()
            buffer.size = bytes.count
            buffer.mem = bytes.baseAddress
            fuse_session_process_buf(session, &buffer)
        }
        // struct fuse_out_header: length, the notification FUSE_NOTIFY_RESEND in place of an error, no request.
        var notification: (UInt32, Int32, UInt64) = (16, 7, 0)
        try System.call("cannot ask for what was not answered") { write(connection.raw, &notification, 16) }
    }
}
