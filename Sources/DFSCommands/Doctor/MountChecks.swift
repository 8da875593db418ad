import DFSFuse
import DFSModel
import DFSSystem

/// What `dfs doctor` says of this user's mounts: nothing where all is well.
struct MountChecks {
    let context: CommandContext
    let repairs: Bool

    func findings() -> [DoctorFinding] {
        do throws(DFSError) {
            let registry = try context.mountRegistry()
            var findings = [DoctorFinding]()
            for record in registry.all() {
                if let finding = try finding(record, registry) { findings.append(finding) }
            }
            return findings
        } catch { return [DoctorFinding("mount", error)] }
    }

    private func finding(
        _ record: MountRegistry.Record, _ registry: MountRegistry
    ) throws(DFSError) -> DoctorFinding? {
        let place = record.mountpoint
        if let supervision = registry.supervision(of: place), supervision.isAlive {
            guard supervision.restarts > 0, let reason = supervision.reason else { return nil }
            return DoctorFinding(
                "mount", supervision.state == .broken ? .problem : .note, place,
                note: "its server was replaced \(Quantity.count(supervision.restarts, "time")), last because \(reason)",
                hint: record.log.map { "tail " + ShellText.quote($0) })
        }
        guard let mount = try MountTable.mount(at: place), mount.isOurs else { return nil }
        if try MountTable.state(of: mount) == .serving {
            return DoctorFinding(
                "mount", .note, place, note: "no supervisor would replace its server",
                hint: "dfs umount \(ShellText.quote(place))")
        }
        guard repairs else {
            return DoctorFinding("mount", .problem, place, note: "nobody serves it", hint: "dfs doctor --repair")
        }
        guard try MountClearing(mountpoint: place, registry: registry).clear() == .clear else { return nil }
        return DoctorFinding("mount", .good, place, note: "nobody served it; taken away")
    }
}
