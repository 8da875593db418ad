import DFSModel

/// What one run of a cell gave: a number for each measure.
///
/// A measure is a metric's last value, `exit` (the job's code; 0 is success) or, where there are no metrics, `outputs`, and where there are
/// none either `work`.
package struct ValidationSample: Sendable, Equatable {
    package let run: RunID
    package let values: [String: Double]

    package static let exit = "exit"
    /// 0 where the outputs are those of the run that is validated, to the byte; another number for each other content.
    package static let outputs = "outputs"
    /// The same of what the job wrote into its working directory.
    package static let work = "work"

    package init(run: RunID, values: [String: Double]) {
        self.run = run
        self.values = values
    }
}
