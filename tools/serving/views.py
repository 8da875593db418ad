"""Who mounts and reads, and the ways to see a version of a dataset as files."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from measuring import Failed, homes

NOBODY = 65534
FUSE_MODES = ["auto", "stateless", "passthrough", "plain"]


class Account:
    """A user with programs, caches and mountpoints of its own."""

    modes_expected = FUSE_MODES + ["sealed"]

    def __init__(self, bench, name, owner):
        self.bench, self.name, self.owner = bench, name, owner
        self.folder = bench.scratch / name
        self.folder.mkdir(mode=0o755)
        self.environment = dict(bench.environment, TMPDIR=str(self.folder / "run"), **homes(self.folder))
        # What stands before each command: a control group, and what makes it this user's.
        self.group, self.prefix = [], []
        self.mounted, self.missing = {}, set()
        (self.folder / "bin").mkdir()
        # A copy, which nobody builds anew meanwhile, and which the user can reach wherever the build folder is.
        self.dfs = Path(shutil.copy2(bench.program("dfs"), self.folder / "bin" / "dfs"))
        self.own(self.folder)

    @property
    def cache(self):
        return Path(self.environment["XDG_CACHE_HOME"])

    def own(self, *paths):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{self.owner}:{self.owner}", *paths], check=True)

    def run(self, *command, store=None, output=False, accept=(0,)):
        return self.bench.run(*self.group, *self.prefix, *command, store=store, output=output, accept=accept,
                              environment=self.environment)

    def seconds(self, *command, **more):
        return self.run(*command, **more)[0]

    def text(self, *command, **more):
        return self.run(*command, output=True, **more)[2]

    def forget(self, store):
        """Leaves in the caches what any command needs (the index), and nothing that was made to serve files."""
        self.unmount_all()
        shutil.rmtree(self.cache, ignore_errors=True)
        self.run(self.dfs, "ls", store=store)

    def unmount_all(self):
        for view in list(self.mounted.values()):
            view.unmount()

    def abandon(self):
        """As unmount_all, whatever state things are in."""
        self.group = []
        while self.mounted:
            with contextlib.suppress(Failed):
                self.unmount_all()

    def close(self):
        self.abandon()


class Root(Account):
    def __init__(self, bench):
        super().__init__(bench, "root", 0)


class Ordinary(Account):
    """Without privileges, through fusermount3. Where the device is root's only, a mount namespace opens it: a node that
    anybody may open is bound over it."""

    modes_expected = ["auto", "stateless", "plain"]

    def __init__(self, bench):
        self.keeper = None
        super().__init__(bench, "ordinary", NOBODY if os.geteuid() == 0 else os.geteuid())
        if os.geteuid() != 0:
            return
        self.keeper = self.namespace(bench.scratch)
        self.prefix = ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", "--", "setpriv", f"--reuid={NOBODY}",
                       f"--regid={NOBODY}", "--clear-groups", "--"]
        try:
            self.run("test", "-x", self.dfs)
        except Failed as error:
            raise Failed(f"user {NOBODY} cannot reach {self.dfs}; name a --scratch that anybody may enter") from error

    def namespace(self, scratch):
        device, ready = scratch / "device", scratch / "ready"
        script = f"""
            mkdir '{device}'; mount -t tmpfs none '{device}'
            mknod -m 0666 '{device}/fuse' c 10 229; chmod 0666 '{device}/fuse'
            mount --bind '{device}/fuse' /dev/fuse; umount -l '{device}'
            : > '{ready}'; exec sleep infinity
            """
        keeper = subprocess.Popen(["unshare", "-m", "sh", "-ec", script], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while not ready.exists():
            if keeper.poll() is not None:
                raise Failed(f"no mount namespace: {keeper.stderr.read().decode(errors='replace').strip()}")
            time.sleep(0.01)
        return keeper

    def close(self):
        super().close()
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait()


class View:
    """One way to see a version. A native view is the source itself."""

    def __init__(self, account, mode, store, reference, source):
        self.account, self.mode, self.store, self.reference, self.source = account, mode, store, reference, source
        name, version = reference.split("@")
        self.point = account.folder / f"{mode}-{name}-{version}"
        self.inside = Path("datasets") / name / version

    @property
    def root(self):
        if self.mode == "native":
            return self.source
        return self.point if self.mode == "sealed" else self.point / self.inside

    @property
    def is_fuse(self):
        return self.mode in FUSE_MODES

    def command(self):
        """What mounts it."""
        how = ["--seal", self.reference] if self.mode == "sealed" else ["--serve", self.mode]
        return [self.account.dfs, "mount", *how, self.point]

    def mount(self):
        """Mounts it where it is not mounted; gives the seconds."""
        if self.mode == "native" or self.point in self.account.mounted:
            return 0
        self.point.mkdir(exist_ok=True)
        self.account.own(self.point)
        self.account.mounted[self.point] = self
        return self.account.seconds(*self.command(), store=self.store)

    def first_byte(self, name):
        """Seconds from nothing to the first byte of NAME."""
        self.point.mkdir(exist_ok=True)
        self.account.own(self.point)
        self.account.mounted[self.point] = self
        script = '"$@" > /dev/null && head -c 1 "$file" > /dev/null'
        return self.account.seconds("env", f"file={self.root / name}", "sh", "-c", script, "sh", *self.command(),
                                    store=self.store)

    def unmount(self):
        if self.point not in self.account.mounted:
            return
        account = self.account
        del account.mounted[self.point]
        try:
            account.run(account.dfs, "umount", self.point, store=self.store)
        except Failed as error:
            # A namespace that somebody made meanwhile still holds a copy of the mount, and so the server.
            if server := re.search(r"has not ended(?s:.*)hint: kill ([0-9]+)", str(error)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(server[1]), signal.SIGTERM)
                return
            # Not as it should be, but nothing may be left. The namespace of the mount is entered as its owner.
            prefix = account.prefix[:account.prefix.index("setpriv")] if account.prefix else []
            subprocess.run([*prefix, "umount", "-l", self.point], check=False, stderr=subprocess.DEVNULL)
            raise

    def fresh(self):
        self.unmount()
        self.mount()

    def stats(self):
        return json.loads(self.account.text("cat", self.point / ".dfs" / "stats"))

    def requests(self, action):
        """What ACTION gives, and the requests to the daemon in it (None where there is none): the total, and READs.
        What it costs to read the counters is taken off."""
        if not self.is_fuse:
            return action(), None, None
        counters = [counts(self.stats()) for _ in range(3)]
        result = action()
        after = counts(self.stats())
        idle = [max(second - first, third - second) for first, second, third in zip(*counters)]
        total, reads = (max(0, end - start - cost) for end, start, cost in zip(after, counters[2], idle))
        return result, total, reads


def counts(stats):
    return stats["requests"], stats["operations"].get("READ", 0)
