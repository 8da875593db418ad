import DFSModel
import DFSSystem
import Glibc

/// The image that a container, or a machine in a cloud, was started from: what of it can be found from inside.
struct ImageFacts {
    /// `/`, or what stands in for it.
    var root = ""
    let environment: [String: String]

    func capture() -> JSONValue { ["container": container, "machine": machine] }

    // MARK: Containers

    private var container: JSONValue {
        if let image = podman ?? apptainer { return image }
        if environment["KUBERNETES_SERVICE_HOST"] != nil {
            return Fact.unknown("Kubernetes does not tell a container the digest of its image")
        }
        if Files.exists(root + "/.dockerenv") {
            return Fact.unknown("Docker does not tell a container the digest of its image")
        }
        return Fact.none("no image named in /run/.containerenv, APPTAINER_CONTAINER or SINGULARITY_CONTAINER")
    }

    /// Podman fills in the file for privileged containers only: lines such as `imageid="26bb…"`.
    private var podman: JSONValue? {
        guard Files.exists(root + "/run/.containerenv") else { return nil }
        let fields = Self.fields(Fact.file(root + "/run/.containerenv") ?? "")
        guard let image = fields["image"], let id = fields["imageid"] else {
            return Fact.unknown("Podman names the image to privileged containers only")
        }
        let digest = id.count == 64 ? "sha256:" + id : id
        return ["digest": .string(digest), "found_in": "/run/.containerenv", "name": .string(image)]
    }

    /// `NAME="VALUE"` lines.
    private static func fields(_ text: String) -> [String: String] {
        var out = [String: String]()
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let value = line[line.index(after: equals)...].filter { $0 != "\"" }
            if !value.isEmpty { out[String(line[..<equals])] = value }
        }
        return out
    }

    /// An image file is known by the UUID in its header: its digest would need all of its bytes.
    private var apptainer: JSONValue? {
        for name in ["APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"] {
            guard let path = environment[name], !path.isEmpty else { continue }
            let uuid = Self.imageUUID(root + path)
            return [
                "digest": Fact.unknown("an image file is not read as a whole"), "found_in": .string(name),
                "name": .string(String(path.split(separator: "/").last ?? "")),
                "sif_uuid": Fact.text(uuid, orUnknown: "\(name) does not name a readable SIF file"),
            ]
        }
        return nil
    }

    /// SIF's global header: 32 bytes of launch script, `SIF_MAGIC` and a zero, version and architecture of three bytes
    /// each, the UUID.
    static func imageUUID(_ path: String) -> String? {
        guard let head = PythonFinder.head(of: path, count: 64), head.count == 64,
            Array(head[32..<42]) == Array("SIF_MAGIC\0".utf8)
        else { return nil }
        let digits = head[48..<64].map { byte in
            let text = String(byte, radix: 16)
            return text.count < 2 ? "0" + text : text
        }
        let groups = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }
        return groups.joined(separator: "-")
    }

    // MARK: Machines

    private static let instance = "/run/cloud-init/instance-data.json"

    /// What cloud-init keeps for everybody to read; secrets are in another file.
    private var machine: JSONValue {
        let build = Self.buildInfo(Fact.file(root + "/etc/cloud/build.info") ?? "")
        guard let bytes = try? Files.read(root + Self.instance, limit: 1 << 24), let data = try? JSONValue.parse(bytes)
        else {
            guard build.isEmpty else { return ["build": .object(build)] }
            return Fact.none("neither \(Self.instance) nor /etc/cloud/build.info")
        }
        let basics = data["v1"], details = data["ds"]?["meta_data"]
        let azure = details?["imds"]?["compute"]?["storageProfile"]?["imageReference"]
        let image = details?["ami-id"]?.string ?? azure?["id"]?.string ?? azure?["sku"]?.string
        var members: [String: JSONValue] = [
            "cloud": Fact.text(basics?["cloud_name"]?.string, orUnknown: "v1.cloud_name is missing"),
            "image": Fact.text(image, orUnknown: "the cloud's metadata names no image"),
            "platform": Fact.text(basics?["platform"]?.string, orUnknown: "v1.platform is missing"),
        ]
        if !build.isEmpty { members["build"] = .object(build) }
        return .object(members)
    }

    /// Ubuntu's `name: value` lines about its own image.
    private static func buildInfo(_ text: String) -> [String: JSONValue] {
        var out = [String: JSONValue]()
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = Fact.trimmed(line[line.index(after: colon)...])
            if !value.isEmpty { out[String(line[..<colon])] = .string(String(value)) }
        }
        return out
    }
}
