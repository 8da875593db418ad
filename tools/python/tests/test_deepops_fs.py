"""python3 -m unittest discover -s tests, in tools/python."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, HERE)

import deepops_fs  # noqa: E402

NAMES = ("DFS_RUN_ID", "DFS_DATA", "DFS_DATA_FACES", "DFS_DATA_TEAM_X", "DFS_OUTPUTS", "DFS_METRICS", "DFS_SEED")


class Scalar:
    """As NumPy's and PyTorch's."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Odd:
    def __repr__(self):
        return "<odd>"


class TestCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.before = {name: os.environ.pop(name, None) for name in NAMES}
        importlib.reload(deepops_fs)

    def tearDown(self):
        for name, value in self.before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def enter(self):
        os.environ.update(
            DFS_RUN_ID="01a2", DFS_METRICS=self.path("metrics"), DFS_SEED="7", DFS_OUTPUTS=self.path("outputs"),
            DFS_DATA=self.path("data"), DFS_DATA_FACES=self.path("data/faces"))
        os.makedirs(self.path("data/faces"))

    def lines(self):
        with open(self.path("metrics")) as file:
            return [json.loads(line) for line in file]


class InsideTests(TestCase):
    def setUp(self):
        super().setUp()
        self.enter()

    def test_lines(self):
        deepops_fs.log(step=3, loss=0.5, train={"acc": 1}, ok=True, nothing=None)
        deepops_fs.log(acc=float("nan"))
        deepops_fs.params(lr=0.1, layers=(64, 64), name="mlp")
        first, second, third = self.lines()
        self.assertEqual(first, {"step": 3, "loss": 0.5, "train": {"acc": 1}, "ok": True, "nothing": None})
        self.assertNotEqual(second["acc"], second["acc"])
        self.assertEqual(third, {"params": {"lr": 0.1, "layers": [64, 64], "name": "mlp"}})

    def test_numbers_of_other_libraries(self):
        deepops_fs.log(step=Scalar(2), loss=Scalar(0.25), odd=Odd())
        self.assertEqual(self.lines(), [{"step": 2, "loss": 0.25, "odd": "<odd>"}])

    def test_paths(self):
        self.assertTrue(deepops_fs.inside())
        self.assertEqual(deepops_fs.run_id(), "01a2")
        self.assertEqual(deepops_fs.seed(), 7)
        self.assertEqual(deepops_fs.data("faces"), self.path("data/faces"))
        self.assertEqual(deepops_fs.data(), self.path("data/faces"))
        os.makedirs(self.path("data/other"))
        self.assertEqual(deepops_fs.data(), self.path("data"))
        self.assertEqual(deepops_fs.data("other"), self.path("data/other"))
        with self.assertRaises(KeyError):
            deepops_fs.data("missing")
        os.environ["DFS_DATA_TEAM_X"] = "/there"
        self.assertEqual(deepops_fs.data("team-x"), "/there")
        self.assertEqual(deepops_fs.outputs(), self.path("outputs"))
        self.assertEqual(deepops_fs.outputs("a", "b.pt"), self.path("outputs/a/b.pt"))
        self.assertTrue(os.path.isdir(self.path("outputs/a")))

    def test_threads_and_processes_do_not_tear_lines(self):
        def work(name):
            for step in range(300):
                deepops_fs.log(step=step, **{name: step, "filler": "x" * 500})

        threads = [threading.Thread(target=work, args=("t%d" % i,)) for i in range(4)]
        script = (
            "import deepops_fs, sys\n"
            "for step in range(300): deepops_fs.log(step=step, **{sys.argv[1]: step, 'filler': 'y' * 500})\n")
        ranks = [
            subprocess.Popen([sys.executable, "-c", script, "r%d" % i], env=dict(os.environ, PYTHONPATH=HERE))
            for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([rank.wait() for rank in ranks], [0, 0, 0])
        lines = self.lines()
        self.assertEqual(len(lines), 7 * 300)
        for name in ("t0", "t3", "r0", "r2"):
            self.assertEqual([line[name] for line in lines if name in line], list(range(300)))

    def test_what_cannot_be_written_is_a_warning(self):
        os.environ["DFS_METRICS"] = self.path("missing/metrics")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            deepops_fs.log(loss=1)
            deepops_fs.log(loss=2)
        self.assertEqual([w.category for w in caught], [RuntimeWarning])

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_a_full_disk_is_a_warning(self):
        os.environ["DFS_METRICS"] = "/dev/full"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            deepops_fs.log(loss=1)
        self.assertIn("is lost", str(caught[0].message))


class OutsideTests(TestCase):
    def test_nothing_happens_and_each_call_warns_once(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                deepops_fs.log(step=1, loss=1)
                deepops_fs.params(lr=1)
                self.assertIsNone(deepops_fs.data("faces"))
                self.assertEqual(deepops_fs.data("faces", default="local"), "local")
                self.assertEqual(deepops_fs.outputs("m.pt", default=self.path("o")), self.path("o/m.pt"))
                self.assertEqual(deepops_fs.seed(5), 5)
        self.assertEqual(len(caught), 5)
        self.assertTrue(all(w.category is deepops_fs.OutsideRun for w in caught))
        self.assertTrue(all(w.filename == __file__ for w in caught), [w.filename for w in caught])
        self.assertFalse(deepops_fs.inside())
        self.assertIsNone(deepops_fs.run_id())


if __name__ == "__main__":
    unittest.main()
