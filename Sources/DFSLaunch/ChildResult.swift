import DFSModel

/// How a job ended.
package struct ChildResult: Sendable, Equatable {
    package enum Ending: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
    }

    package let ending: Ending
    /// When the command was executed, and when its end was seen.
    package let started: Timestamp
    package let ended: Timestamp
    /// Of the job and those of its processes that were waited for.
    package let userMicroseconds: Int64
    package let systemMicroseconds: Int64
    /// The largest resident size of any one of these processes, bytes.
    package let maximumResidentBytes: Int64
    /// Signals that were passed on to the job, in order.
    package let forwarded: [Int32]
    /// The launcher killed the job, or what was left of it, after the third interruption.
    package let wasKilled: Bool
    /// Processes of the job that lived on when it ended, and were ended then.
    package let orphans: [Orphan]
    /// Interruptions from the terminal, which reached the job by themselves, in order.
    package let interruptions: [Int32]
    /// What would have interrupted the job, and came when its first process had ended and others of the run were waited for;
    /// in order. Those of a terminal are in `interruptions` as well.
    package let late: [Int32]
    /// Processes that the kernel killed for want of memory while the job ran; `nil` when it does not tell.
    package let memoryKills: MemoryKills?

    /// As a shell has it in `$?`.
    package var exitStatus: Int32 {
        switch ending {
        case .exited(let code): code
        case .signalled(let signal): 128 + signal
        }
    }

    /// As `exitStatus`, of a run that was interrupted though its first process ended well.
    package var interruptedStatus: Int32 {
        guard exitStatus == 0, let signal = late.first else { return exitStatus }
        return 128 + signal
    }

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "started": .string(started.description), "ended": .string(ended.description),
            "userMicroseconds": .integer(userMicroseconds), "systemMicroseconds": .integer(systemMicroseconds),
            "maximumResidentBytes": .integer(maximumResidentBytes),
            "forwarded": .array(forwarded.map { .integer(Int64($0)) }), "orphans": .array(orphans.map(\.json)),
            "interruptions": .array(interruptions.map { .integer(Int64($0)) }),
            "memory-kills": memoryKills?.json ?? .null,
        ]
        switch ending {
        case .exited(let code): members["exitCode"] = .integer(Int64(code))
        case .signalled(let signal): members["signal"] = .integer(Int64(signal))
        }
        if wasKilled { members["killed"] = true }
        if !late.isEmpty { members["late"] = .array(late.map { .integer(Int64($0)) }) }
        return .object(members)
    }
}
