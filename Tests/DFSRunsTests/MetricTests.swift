import DFSModel
import DFSRuns
import Testing

/// `metrics.jsonl` as scripts write it.
@Suite struct MetricTests {
    private func read(_ text: String, pieces: Int = 1) -> RunMetrics {
        var reader = RunMetrics.Reader()
        let bytes = Array(text.utf8)
        let length = max(1, bytes.count / pieces)
        for start in stride(from: 0, to: bytes.count, by: length) {
            reader.add(bytes[start..<min(bytes.count, start + length)])
        }
        return reader.end()
    }

    @Test(arguments: [1, 7, 1000]) func lastLeastAndGreatestWithTheirSteps(pieces: Int) throws {
        let metrics = read(
            """
            {"step": 1, "loss": 0.5, "acc": 0.25}
            {"step": 2, "loss": 0.125}
            {"step": 3, "loss": 0.25, "acc": 0.75, "note": "text", "flag": true, "list": [1], "nothing": null}

            """, pieces: pieces)
        #expect(metrics.lines == 3 && metrics.badLines == 0)
        #expect(metrics.series.keys.sorted() == ["acc", "loss"])
        let loss = try #require(metrics.series["loss"])
        #expect(loss.count == 3)
        #expect(loss.last.value == 0.25 && loss.last.step == 3)
        #expect(loss.minimum?.value == 0.125 && loss.minimum?.step == 2)
        #expect(loss.maximum?.value == 0.5 && loss.maximum?.step == 1)
    }

    /// Python's `json` writes these words, which JSON does not have.
    @Test func whatIsNotFiniteIsRead() throws {
        let metrics = read(
            #"""
            {"loss":NaN,"a":Infinity,"b":-Infinity,"text \" NaN":"NaN Infinity","deep":{"x":NaN}}
            {"loss": 1.5}
            {"loss": NaN}
            """#)
        #expect(metrics.badLines == 0)
        let loss = try #require(metrics.series["loss"])
        #expect(loss.last.value.isNaN && loss.notNumbers == 2 && loss.count == 3)
        #expect(loss.minimum?.value == 1.5 && loss.maximum?.value == 1.5)
        #expect(metrics.series["a"]?.last.value == .infinity)
        #expect(metrics.series["b"]?.last.value == -.infinity)
        #expect(metrics.series["deep.x"]?.last.value.isNaN == true)
        #expect(metrics.series["text \" NaN"] == nil)
        let json = try #require(loss.json.object)
        #expect(json["last"]?["value"] == "NaN" && json["nan"] == 2)
        // As results two of them agree, though as numbers they do not.
        #expect(
            metrics
                == read(
                    #"{"loss":NaN,"a":Infinity,"b":-Infinity,"text \" NaN":"NaN Infinity","deep":{"x":NaN}}"#
                        + "\n{\"loss\": 1.5}\n{\"loss\": NaN}\n"))
    }

    @Test func badLinesAreCountedAndPassedOver() throws {
        let metrics = read("{\"a\":1}\nnot json\n[1,2]\n\n   \n{\"a\":2,\"a\":3}\n{\"a\":4")
        #expect(metrics.badLines == 4 && metrics.lines == 5)
        #expect(metrics.series["a"]?.last.value == 1)
        // A line without an end in reason is not held in memory.
        let long = read(String(repeating: "x", count: 3 << 20) + "\n{\"a\":5}\n")
        #expect(long.badLines == 1 && long.series["a"]?.last.value == 5)
        #expect(read("").lines == 0)
    }

    @Test func parametersAreKeptApart() throws {
        let metrics = read(
            """
            {"params": {"lr": 0.1, "layers": [64, 64], "model": {"name": "mlp", "decay": NaN}}}
            {"params": {"lr": 0.01}}
            {"params": 3}
            {"train": {"loss": 1, "deeper": {"acc": 0.5}}, "step": 5}
            """)
        #expect(metrics.parameters["lr"] == .double(0.01))
        #expect(metrics.parameters["model.name"] == "mlp" && metrics.parameters["model.decay"] == "NaN")
        #expect(metrics.parameters["layers"] == [64, 64])
        #expect(metrics.series.keys.sorted() == ["params", "train.deeper.acc", "train.loss"])
    }

    @Test func numbersAsText() {
        #expect(MetricSeries.number(3) == 3)
        #expect(MetricSeries.number(0.5) == .double(0.5))
        #expect(MetricSeries.number(-.infinity) == "-Infinity")
        #expect(MetricSeries.number(1e300) == .double(1e300))
    }
}
