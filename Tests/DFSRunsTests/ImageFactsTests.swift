import DFSModel
import Testing

@testable import DFSRuns

@Suite struct ImageFactsTests {
    private func image(_ scratch: Scratch, _ environment: [String: String] = [:]) -> JSONValue {
        ImageFacts(root: scratch.path, environment: environment).capture()
    }

    @Test func podmanNamesItsImage() throws {
        let scratch = try Scratch()
        let id = String(repeating: "ab", count: 32)
        try scratch.write("run/.containerenv", "engine=\"podman-4\"\nimage=\"localhost/train:1\"\nimageid=\"\(id)\"\n")
        #expect(
            image(scratch)["container"] == [
                "digest": .string("sha256:" + id), "found_in": "/run/.containerenv", "name": "localhost/train:1",
            ])
        try scratch.write("run/.containerenv", "")
        #expect(image(scratch)["container"]?["unknown"] != nil)
    }

    @Test func apptainerIsKnownByItsHeader() throws {
        let scratch = try Scratch()
        let uuid = (0..<16).map { UInt8($0 * 3) }
        let head = [UInt8](repeating: 0x20, count: 32) + Array("SIF_MAGIC\0".utf8) + Array("01\u{0}02\u{0}".utf8) + uuid
        try scratch.write(Array("i/a.sif".utf8), head + [1, 2, 3])
        let found = image(scratch, ["APPTAINER_CONTAINER": "/i/a.sif"])["container"]
        #expect(found?["sif_uuid"] == "00030609-0c0f-1215-181b-1e2124272a2d")
        #expect(found?["name"] == "a.sif")
        #expect(image(scratch, ["APPTAINER_CONTAINER": "/i/b.sif"])["container"]?["sif_uuid"]?["unknown"] != nil)
    }

    @Test func cloudInitNamesTheMachinesImage() throws {
        let scratch = try Scratch()
        #expect(image(scratch)["machine"]?["none"] != nil)
        try scratch.write(
            "run/cloud-init/instance-data.json",
            #"{"v1":{"cloud_name":"aws","platform":"ec2"},"ds":{"meta_data":{"ami-id":"ami-0abc"}}}"#)
        try scratch.write("etc/cloud/build.info", "build_name: server\nserial: 20260101\n")
        #expect(
            image(scratch)["machine"] == [
                "build": ["build_name": "server", "serial": "20260101"], "cloud": "aws", "image": "ami-0abc",
                "platform": "ec2",
            ])
    }

    @Test func whatCannotBeKnownIsSaid() throws {
        let scratch = try Scratch()
        #expect(image(scratch)["container"]?["none"] != nil)
        #expect(image(scratch, ["KUBERNETES_SERVICE_HOST": "10.0.0.1"])["container"]?["unknown"] != nil)
        try scratch.write(".dockerenv", "")
        #expect(image(scratch)["container"]?["unknown"] != nil)
    }
}
