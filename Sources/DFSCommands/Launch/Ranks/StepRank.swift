import DFSModel

/// Which of the processes of one parallel step this is, as Slurm's `srun` tells each of them.
struct StepRank: Equatable {
    /// Names the step among all of all clusters; a file name.
    let step: String
    let rank: Int
    let count: Int
    /// On how many machines the step is.
    let nodes: Int

    /// `nil` unless several processes were started as one step.
    static func current(_ environment: ProcessEnvironment) -> StepRank? {
        guard let job = environment["SLURM_JOB_ID"], let step = environment["SLURM_STEP_ID"],
            let rank = environment["SLURM_PROCID"].flatMap({ Int($0) }),
            let count = environment["SLURM_STEP_NUM_TASKS"].flatMap({ Int($0) }), count > 1, (0..<count).contains(rank)
        else { return nil }
        let parts = [
            environment["SLURM_CLUSTER_NAME"] ?? "slurm", job, step, environment["SLURM_RESTART_COUNT"] ?? "0",
        ]
        let name = parts.joined(separator: ".")
        guard name.utf8.count <= 200, name.utf8.allSatisfy({ isPlain($0) }), !name.hasPrefix(".") else { return nil }
        return StepRank(
            step: name, rank: rank, count: count,
            nodes: environment["SLURM_STEP_NUM_NODES"].flatMap { Int($0) } ?? 1)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
            || byte == 0x2d || byte == 0x2e || byte == 0x5f
    }
}
