"""Other tools that show stored files through a mount, or check them out."""
import contextlib
import os
import shutil
import subprocess
import sys
import time

from measuring import Failed


class Peer:
    """Prepared once; then started from nothing as often as it takes."""

    served_by_fuse = True
    needs = ()

    def __init__(self, bench, venv, account, source):
        self.bench, self.account, self.source, self.mode = bench, account, source, self.name
        self.folder = bench.scratch / f"peer-{self.name.split()[0].lower()}"
        self.point = self.folder / "mnt"
        self.point.mkdir(parents=True)
        self.environment = dict(bench.environment, HOME=str(self.folder), RESTIC_PASSWORD="benchmark",
                                XDG_CACHE_HOME=str(self.folder / "cache"), DVC_NO_ANALYTICS="1",
                                DVC_SITE_CACHE_DIR=str(self.folder / "site"),
                                PATH=f"{venv / 'bin'}:{os.environ['PATH']}")

    def lacking(self):
        """The program that is not there, or None."""
        return next((name for name in self.needs if not shutil.which(name, path=self.environment["PATH"])), None)

    def run(self, *command, cwd=None):
        return self.bench.seconds(*command, cwd=cwd, environment=self.environment)

    @property
    def root(self):
        return self.point

    def store(self):
        """Takes the source in."""

    def start(self, name):
        """Seconds from nothing to the first byte of NAME."""
        began = time.perf_counter()
        self.begin()
        with open(self.root / name, "rb") as file:
            file.read(1)
        return time.perf_counter() - began

    def stop(self):
        if os.path.ismount(self.point):
            subprocess.run(["umount", self.point], check=False, stderr=subprocess.DEVNULL)
        for _ in range(100):
            if not os.path.ismount(self.point):
                return
            time.sleep(0.05)
            subprocess.run(["umount", "-l", self.point], check=False, stderr=subprocess.DEVNULL)
        raise Failed(f"{self.name} cannot be unmounted from {self.point}")


class Restic(Peer):
    name, needs = "restic mount", ("restic",)

    process = None

    def store(self):
        self.run("restic", "-q", "-r", self.folder / "repository", "init")
        self.run("restic", "-q", "-r", self.folder / "repository", "backup", "--compression", "off", self.source)

    @property
    def root(self):
        return self.point / "snapshots" / "latest" / str(self.source).lstrip("/")

    def begin(self):
        self.process = subprocess.Popen(
            ["restic", "-q", "-r", self.folder / "repository", "mount", "--no-lock", self.point],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.ismount(self.point):
            if self.process.poll() is not None:
                raise Failed(f"restic mount ended with {self.process.returncode}")
            time.sleep(0.001)

    def stop(self):
        super().stop()
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process = None


class Squashfuse(Peer):
    name, needs = "squashfuse", ("squashfuse", "mksquashfs")

    def store(self):
        self.run("mksquashfs", self.source, self.folder / "image", "-quiet", "-comp", "zstd",
                 "-Xcompression-level", "1")

    def begin(self):
        self.run("squashfuse", self.folder / "image", self.point)


class JuiceFS(Peer):
    name, needs = "JuiceFS", ("juicefs",)

    def store(self):
        self.meta = f"sqlite3://{self.folder / 'meta.db'}"
        self.run("juicefs", "format", "--storage", "file", "--bucket", f"{self.folder / 'data'}/", self.meta, "peer")
        self.begin()
        try:
            self.run("cp", "-r", f"{self.source}/.", self.point)
        finally:
            self.stop()

    def begin(self):
        self.run("juicefs", "mount", "-d", "--no-usage-report", "--log", self.folder / "log", "--cache-dir",
                 self.folder / "cache", self.meta, self.point)


class Dvc(Peer):
    """A checkout: copies are made, and read as any file is. Nothing is mounted."""

    name, needs, served_by_fuse = "DVC checkout", ("dvc",), False

    @property
    def root(self):
        return self.folder / "project" / "data"

    def store(self):
        project = self.folder / "project"
        project.mkdir()
        self.run("dvc", "init", "-q", "--no-scm", cwd=project)
        self.run("cp", "-r", self.source, project / "data")
        self.run("dvc", "add", "-q", "data", cwd=project)
        self.stop()

    def begin(self):
        self.run("dvc", "checkout", "-q", "data.dvc", cwd=self.folder / "project")

    def stop(self):
        shutil.rmtree(self.root, ignore_errors=True)
        # Nothing of the last checkout may be known: a new machine has no state.
        for state in (self.folder / "project" / ".dvc" / "tmp", self.folder / "cache", self.folder / "site"):
            shutil.rmtree(state, ignore_errors=True)


def all_peers(*words):
    return [kind(*words) for kind in (Restic, Squashfuse, JuiceFS, Dvc)]


def make_venv(bench, name, packages, python=sys.executable):
    """A virtual environment with PACKAGES, below --venv or the scratch directory; gives its folder."""
    venv = (bench.options.venv or bench.scratch / "venv") / name
    if not (venv / "bin" / "python").exists():
        venv.parent.mkdir(parents=True, exist_ok=True)
        bench.run(python, "-m", "venv", venv)
    for package in packages:
        python = venv / "bin" / "python"
        if subprocess.run([python, "-m", "pip", "show", "-q", package], capture_output=True).returncode != 0:
            bench.run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", package)
    return venv
