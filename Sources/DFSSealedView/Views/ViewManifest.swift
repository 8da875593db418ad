import DFSChunking
import DFSModel
import DFSStore
import DFSSystem

/// What is known of an image: `views/<key>.json`.
package struct ViewManifest: Sendable {
    static let form = "dfs.view/4"

    var imageStamp: FileStamp
    var devices: [Devices.Device]
    package var files: Int
    package var directories: Int
    package var symlinks: Int
    /// Bytes that the kernel reads where the packs have them, bytes copied into hot packs, bytes in the image.
    package var mappedBytes: Int
    package var copiedBytes: Int
    package var inlineBytes: Int
    package var imageBytes: Int
    package var made: Timestamp

    /// Bytes that are not in the image.
    package var bytesInFiles: UInt64 { UInt64(mappedBytes) + UInt64(copiedBytes) }
    package var deviceCount: Int { devices.count }

    /// Names a view: equal names, equal images.
    static func key(of subject: ViewSubject, owner: (uid: UInt32, gid: UInt32)) -> String {
        let json: JSONValue = [
            "form": .string(form), "tree": .string(subject.tree.tree.digest.text),
            "content": .string(subject.tree.content.digest.text), "modified": .string(subject.modified.description),
            "dataset": subject.dataset.map { .string($0) } ?? .null,
            "version": subject.version.map { .integer(Int64($0)) } ?? .null, "uid": .integer(Int64(owner.uid)),
            "gid": .integer(Int64(owner.gid)), "mask": .integer(Int64(subject.rootMask)),
        ]
        return String(Digest.of(json.canonicalBytes).hex.prefix(32))
    }

    var json: JSONValue {
        [
            "format": .string(Self.form), "image": .string(Hex.encode(imageStamp.bytes)),
            "devices": .array(
                devices.map { device in
                    let name =
                        switch device.source {
                        case .pack(let pack): pack.digest.hex
                        case .hot(let id): "hot:" + id.text
                        }
                    return .array([.string(name), .integer(Int64(device.blocks))])
                }),
            "files": .integer(Int64(files)), "directories": .integer(Int64(directories)),
            "symlinks": .integer(Int64(symlinks)), "mapped-bytes": .integer(Int64(mappedBytes)),
            "copied-bytes": .integer(Int64(copiedBytes)), "inline-bytes": .integer(Int64(inlineBytes)),
            "image-bytes": .integer(Int64(imageBytes)), "made": .string(made.description),
        ]
    }

    init(
        imageStamp: FileStamp, devices: [Devices.Device], totals: ViewTotals, imageBytes: Int, made: Timestamp
    ) {
        self.imageStamp = imageStamp
        self.devices = devices
        files = totals.files.current
        directories = totals.directories.current
        symlinks = totals.symlinks.current
        mappedBytes = totals.mappedBytes.current
        copiedBytes = totals.copiedBytes.current + totals.reusedBytes.current
        inlineBytes = totals.inlineBytes.current
        self.imageBytes = imageBytes
        self.made = made
    }

    /// `nil` when it is none of this program's.
    init?(_ json: JSONValue) {
        func count(_ member: String) -> Int? { json[member]?.integer.flatMap { Int(exactly: $0) } }
        guard json["format"]?.string == Self.form, let image = json["image"]?.string.flatMap(Hex.decode),
            let stamp = FileStamp(bytes: image), let list = json["devices"]?.array,
            list.count <= ErofsFormat.maximumDevices, let files = count("files"),
            let directories = count("directories"), let symlinks = count("symlinks"),
            let mapped = count("mapped-bytes"), let copied = count("copied-bytes"),
            let inline = count("inline-bytes"), let bytes = count("image-bytes"),
            let made = json["made"]?.string.flatMap({ Timestamp(stored: $0) })
        else { return nil }
        var devices = [Devices.Device]()
        for item in list {
            guard let pair = item.array, pair.count == 2, let name = pair[0].string,
                let blocks = pair[1].integer.flatMap({ UInt32(exactly: $0) })
            else { return nil }
            if name.hasPrefix("hot:") {
                guard let id = HotPackID(text: String(name.dropFirst(4))) else { return nil }
                devices.append(.init(source: .hot(id), blocks: blocks))
            } else {
                guard let digest = Digest(hex: name) else { return nil }
                devices.append(.init(source: .pack(PackID(digest)), blocks: blocks))
            }
        }
        self.devices = devices
        imageStamp = stamp
        self.files = files
        self.directories = directories
        self.symlinks = symlinks
        mappedBytes = mapped
        copiedBytes = copied
        inlineBytes = inline
        imageBytes = bytes
        self.made = made
    }
}
