import DFSModel

/// What a run's result says of the files that it opened: `812 of 1,797 files of faces@v3 opened`.
enum AccessFields {
    static func cells(_ access: JSONValue?) -> [(String, Cell)] {
        guard let access else { return [] }
        if let reason = access["none"]?.string { return [("access", .text("not recorded: \(reason)", .dim))] }
        if let reason = access["unknown"]?.string { return [("access", .text("unknown: \(reason)", .warning))] }
        var fields = [(String, Cell)]()
        for (key, one) in (access["data"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            let reference = "\(one["dataset"]?.string ?? key)@v\(one["version"]?.integer ?? 0)"
            guard let opened = one["opened"]?.integer else {
                fields.append(("access", .text("of \(reference) unknown: \(one["unknown"]?.string ?? "")", .warning)))
                continue
            }
            let all = Quantity.count(one["of"]?.integer ?? 0, "file")
            fields.append(("access", .text("\(Quantity.number(opened)) of \(all) of \(reference) opened")))
        }
        if access["complete"]?.bool == false { fields.append(("access", .text("not all was seen", .warning))) }
        if let denied = access["denied"]?.integer, denied > 0 {
            fields.append(("denied", .text(Quantity.count(denied, "attempt"), .warning)))
        }
        return fields
    }
}
