"""A control group with a memory limit, below the one this process is in, of either version of the interface."""
import os
import time
from pathlib import Path

from measuring import Failed


class ControlGroup:
    def __init__(self, limit):
        parent, limit_file = find_parent()
        self.folder = parent / f"dfs-benchmark-{os.getpid()}"
        try:
            self.folder.mkdir()
            (self.folder / limit_file).write_text(str(limit))
        except OSError as error:
            self.close()
            raise Failed(f"no control group with a memory limit: {error}") from error

    @property
    def prefix(self):
        """Makes a command part of the group, with all that it starts."""
        return ["sh", "-c", f"echo $$ > '{self.folder}/cgroup.procs' && exec \"$@\"", "sh"]

    def close(self):
        """Processes of the group may need a moment to end."""
        for _ in range(100):
            try:
                return self.folder.rmdir()
            except FileNotFoundError:
                return None
            except OSError:
                time.sleep(0.1)
        raise Failed(f"{self.folder} is still in use")


def find_parent():
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in own:
        if "memory" in controllers.split(","):  # version 1
            for _, point, kind, options, *_ in mounts:
                if kind == "cgroup" and "memory" in options.split(","):
                    return Path(point + path), "memory.limit_in_bytes"
    for _, controllers, path in own:
        if controllers == "":
            for _, point, kind, *_ in mounts:
                folder = Path(point + path)
                # A group with processes of its own gives its children no controllers: an ancestor does.
                while kind == "cgroup2" and folder != Path(point).parent:
                    if "memory" in (folder / "cgroup.subtree_control").read_text().split():
                        return folder, "memory.max"
                    folder = folder.parent
    raise Failed("no control group can have a memory limit here")
