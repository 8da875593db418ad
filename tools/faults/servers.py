"""SIGKILL and SIGSTOP to the server of a mount under 16 readers: none sees an error, a wrong byte or a long wait."""
import json, os, pathlib, signal, threading, time
from .runner import Tally
from .world import Broken, World, rng_of

READERS = 16
HANG = 35  # seconds in uninterruptible sleep after which a reader is said to hang
BACK = 2  # seconds after a kill in which the mount answers again; only asked of an idle machine, so not in the small form


def run(settings):
    tally = Tally(settings, "servers")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        tally.add("skipped (/dev/fuse cannot be opened)")
        return tally
    world, rng = World(settings, settings.scratch / "servers"), rng_of(settings.seed, "servers")
    host = world.host("a")
    host.must("init")
    source = world.source("s", rng)
    for number in range(120):
        source.write(f"deep/f{number}", rng.randbytes(rng.choice([200, 9_000, 70_000, 300_000])))
    world.record(host, "frozen", source)
    mount = world.root / "mount"
    mount.mkdir()
    try:
        host.must("mount", mount)
        try:
            play(tally, Mount(host, mount), source.path, rng, 6 if settings.small else 50)
            host.must("umount", mount)
        except BaseException:
            host.run("umount", "--lazy", mount)
            raise
    except Broken as problem:
        tally.fail("all", problem)
    return tally


class Mount:
    def __init__(self, host, path):
        self.host, self.path, self.version = host, path, path / "datasets/frozen/v1"

    @property
    def row(self):
        return json.loads(self.host.must("mounts", "--json").output)

    def hit(self, what):
        """Kills or stops the server; returns the seconds until the mount answers again."""
        while True:
            try:
                os.kill(self.row["pid"], what)
                break
            except ProcessLookupError:
                pass  # The last one has only now gone.
        began = time.monotonic()
        os.statvfs(self.path)  # Always a request.
        return time.monotonic() - began


class Reader(threading.Thread):
    """Reads files, in a directory and with descriptors that it holds since before the first kill, and compares."""

    def __init__(self, mount, source, rng):
        super().__init__(daemon=True)
        self.mount, self.rng, self.ends, self.problem, self.passes = mount, rng, False, None, 0
        self.content = {path.name: path.read_bytes() for path in pathlib.Path(source, "deep").glob("f*")}
        self.names = sorted(os.listdir(pathlib.Path(source, "deep")))
        self.inodes, self.held = {}, {}

    def run(self):
        try:
            self.held["."] = self.folder = os.open(self.mount.version / "deep", os.O_RDONLY | os.O_DIRECTORY)
            self.held |= {name: self.open(name) for name in self.rng.sample(sorted(self.content), 8)}
            while not self.ends and not self.problem:
                self.read_one(self.rng.choice(sorted(self.content)))
                self.compare(name := self.rng.choice(sorted(self.held)[1:]), self.held[name])
                if self.passes % 5 == 0 and sorted(os.listdir(self.folder)) != self.names:
                    self.problem = "WRONG NAMES in deep"
                self.passes += 1
        except OSError as problem:
            self.problem = f"a reader got {problem}"
        for file in self.held.values():
            os.close(file)

    def open(self, name):
        return os.open(name, os.O_RDONLY, dir_fd=self.folder)

    def read_one(self, name):
        file = self.open(name)
        try:
            self.compare(name, file)
        finally:
            os.close(file)

    def compare(self, name, file):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        size, parts, at = 1 << 16, [], 0
        while part := os.pread(file, size, at):
            parts.append(part)
            at += len(part)
        if b"".join(parts) != self.content[name]:
            self.problem = f"WRONG BYTES: deep/{name}"
        inode = os.fstat(file).st_ino
        if self.inodes.setdefault(name, inode) != inode:
            self.problem = f"another inode number: deep/{name}"


def play(tally, mount, source, rng, wanted):
    readers = [Reader(mount, source, rng_of(tally.settings.seed, "reader", number)) for number in range(READERS)]
    for reader in readers:
        reader.start()
    hits, longest, sleeping = 0, 0.0, {}
    while hits < wanted and not any(reader.problem for reader in readers):
        time.sleep(rng.uniform(0.05, 0.5))
        what = signal.SIGSTOP if hits % 6 == 5 else signal.SIGKILL
        seconds = mount.hit(what)
        longest = max(longest, seconds)
        tally.add("servers killed" if what == signal.SIGKILL else "servers stopped")
        if what == signal.SIGKILL and seconds > BACK and not tally.settings.small:
            raise Broken(f"the mount was back after {seconds:.1f} s")
        hits += 1
        look(readers, sleeping)
    for reader in readers:
        reader.ends = True
    for reader in readers:
        while reader.is_alive():
            reader.join(0.5)
            look(readers, sleeping)
    for reader in readers:
        if reader.problem:
            raise Broken(reader.problem)
    row = mount.row
    if row["restarts"] < hits or row["state"] != "serving":
        raise Broken(f"{hits} servers were killed or stopped, and dfs mounts says {row}")
    tally.add("passes of 16 readers", sum(reader.passes for reader in readers))
    tally.add("ms longest wait for the mount", int(longest * 1000))


def look(readers, sleeping):
    """Nobody stays in uninterruptible sleep."""
    now = time.monotonic()
    for reader in readers:
        try:
            state = pathlib.Path(f"/proc/self/task/{reader.native_id}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            state = "X"
        since = sleeping.setdefault(reader, now)
        if state != "D":
            sleeping[reader] = now
        elif now - since > HANG:
            raise Broken(f"a reader has been in uninterruptible sleep for {now - since:.0f} s")
