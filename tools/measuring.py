"""What the benchmarks have in common: a scratch directory, commands that are timed, figures, and the table of them."""
import argparse
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MIB, REPOSITORY = 1 << 20, Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A command that a figure needs did not do what it must."""


class Workplace:
    """The scratch directory, the programs, and the figures so far."""

    usual_rounds, peak, part = 3, 0, "start"

    def __init__(self, options, scratch):
        self.options, self.scratch, self.quick = options, scratch, options.quick
        self.rounds = options.rounds or (1 if options.quick else self.usual_rounds)
        self.figures = []
        self.environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", LC_ALL="C")
        self.environment.update(homes(scratch))

    def program(self, name):
        built = REPOSITORY / ".build" / "release" / name
        found = str(built) if built.exists() else shutil.which(name)
        if not found:
            raise Failed(f"{name} is neither in .build/release nor on PATH; run tools/setup")
        return found

    def reader(self):
        """tools/reader.c, compiled."""
        program = self.scratch / "reader"
        if not program.exists():
            self.run("cc", "-O2", "-pthread", "-o", program, REPOSITORY / "tools" / "reader.c")
        return program

    def finish(self):
        """Adds the figures that all parts share; gives whether something could not be measured."""
        return False

    def tidy(self):
        """Ends what a part that failed has left."""

    def close(self):
        """Ends what would outlive the benchmark."""

    # Running things

    def run(self, *command, store=None, cwd=None, accept=(0,), output=False, environment=None):
        """Runs a command; gives seconds, peak KiB and (with OUTPUT) what it printed. Its noise goes to a file."""
        environment = dict(environment or self.environment, **({"DFS_STORE": str(store)} if store else {}))
        with open(self.scratch / "stdout", "w+b") as out, open(self.scratch / "stderr", "w+b") as err:
            start = time.perf_counter()
            child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                     cwd=cwd, env=environment)
            try:
                _, status, usage = os.wait4(child.pid, 0)
            except BaseException:  # interrupted: what was started here ends here
                child.kill()
                child.wait()
                raise
            seconds = time.perf_counter() - start
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode not in accept:
                err.seek(0)
                told = err.read()[-2000:].decode(errors="replace").strip()
                raise Failed(f"{' '.join(map(str, command))[:300]}: exit {child.returncode}: {told}")
            out.seek(0)
            return seconds, usage.ru_maxrss, out.read().decode(errors="replace") if output else ""

    def seconds(self, *command, **more):
        return self.run(*command, **more)[0]

    def settle(self):
        """Writes out what is dirty on the scratch file system, so that it does not cost the next contestant."""
        subprocess.run(["sync", "-f", self.scratch], check=True)

    def drop_caches(self, what=3):
        self.settle()
        try:
            Path("/proc/sys/vm/drop_caches").write_text(f"{what}\n")
        except OSError as error:
            raise Failed(f"the machine's caches cannot be dropped: {error}") from error

    def remove(self, path):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.settle()

    # Figures

    def figure(self, name, value, floor="", met=None, **more):
        verdict = "printed" if met is None else "met" if met else "short"
        self.figures.append({"figure": name, "value": value, "floor": floor, "verdict": verdict, "part": self.part,
                             **more})
        user = f" [{more['user']}]" if "user" in more else ""
        print(f"  {name}{user}: {value}" + (f" ({floor}: {verdict})" if floor else ""), file=sys.stderr, flush=True)

    def print_table(self):
        width = [max(len(row[key]) for row in self.figures) for key in ("figure", "value", "floor")]
        print(f"{'figure':<{width[0]}}  {'value':>{width[1]}}  {'floor':<{max(5, width[2])}}  verdict")
        for row in self.figures:
            print(f"{row['figure']:<{width[0]}}  {row['value']:>{width[1]}}  {row['floor']:<{max(5, width[2])}}  "
                  f"{row['verdict']}")


def homes(folder):
    """A home of its own, so that nothing of the user's is touched."""
    (folder / "run").mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(folder / "run"), "DFS_VIEW_LINGER": "0", "DFS_FREEZE_LIMIT": "0"} | {
        f"XDG_{name}_HOME": str(folder / "home" / name.lower()) for name in ("CONFIG", "CACHE", "DATA", "STATE")}


def flatten(counters):
    """The whole numbers in nested objects, by their dotted names."""
    found = {}

    def collect(value, name):
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(inner, f"{name}.{key}" if name else key)
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = value
    collect(counters, "")
    return found


def milliseconds(times):
    return f"{statistics.median(times) * 1000:.1f} ms"


def write_random(path, size):
    with open(path, "wb") as file:
        while size > 0:
            file.write(os.urandom(min(MIB, size)))
            size -= MIB


def make_files(root, count, size, each=500, content=os.urandom):
    """COUNT files, EACH to a folder, incompressible unless CONTENT makes other bytes; the same sizes every time."""
    chance = random.Random(count)
    for number in range(count):
        folder = root / f"{number // each:03}"
        if number % each == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.bin").write_bytes(content(size(chance)))


def write_many(folder, files):
    """Files of (name, content) in one folder, faster than by their paths."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name, content in files:
        file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place)
        os.write(file, content)
        os.close(file)
    os.close(place)


def disk_bytes(root):
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, files in os.walk(root) for name in files)


def file_system(path):
    found = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", path], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def machine(scratch, rounds):
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {"cores": len(os.sched_getaffinity(0)), "cpu": model, "memory": f"{memory:.0f} GiB",
            "kernel": platform.release(), "file system": file_system(scratch), "rounds": rounds}


def ticks():
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def stolen(before):
    """The part of all processors' time since BEFORE that the host of this virtual machine gave to others."""
    passed = [now - then for now, then in zip(ticks(), before)]
    return passed[7] / max(1, sum(passed))


def mounts_below(folder):
    """The mountpoints below FOLDER, deepest first. Nothing is asked of what is mounted there."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{folder}/"):
            points.append(point)
    return sorted(points, key=len, reverse=True)


def options(parts, text, rounds, add=lambda parser: None):
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke test")
    parser.add_argument("--rounds", type=int, help=f"rounds of the long measurements (default {rounds})")
    parser.add_argument("--only", default=",".join(parts), help="parts, by comma: " + ", ".join(parts))
    parser.add_argument("--scratch", type=Path, help="where to work (a directory is made in it)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    add(parser)
    chosen = parser.parse_args()
    chosen.only = [part for part in chosen.only.split(",") if part]
    if set(chosen.only) - set(parts):
        parser.error(f"--only takes {', '.join(parts)}")
    return chosen


def keep(chosen, host, bench):
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": host, "quick": chosen.quick, "figures": bench.figures},
                                          ensure_ascii=False, indent=1) + "\n")


def main(kind, parts, text, need, add=lambda parser: None):
    """Measures PARTS of KIND, a Workplace, with NEED bytes of scratch. Gives the exit status."""
    chosen = options(parts, text, kind.usual_rounds, add)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = chosen.scratch or Path(tempfile.gettempdir())
    if not chosen.scratch and file_system(place) == "tmpfs":
        place = Path("/var/tmp")  # a disk is what is measured
    scratch = Path(tempfile.mkdtemp(prefix="dfs-benchmark.", dir=place)).resolve()
    bench, failed = None, False
    try:
        need = 2e9 if chosen.quick else need
        if shutil.disk_usage(scratch).free < need:
            raise Failed(f"{scratch} has less than {need / 1e9:.0f} GB free; name another place with --scratch")
        load = os.getloadavg()[0]
        bench = kind(chosen, scratch)
        host = machine(scratch, bench.rounds)
        host["load at start"], before = f"{load:.1f}", ticks()
        for part in (part for part in parts if part in chosen.only):
            print(f"{part} …", file=sys.stderr, flush=True)
            bench.part = part
            try:
                getattr(bench, f"part_{part}")()
            except (Failed, OSError) as error:
                failed = True
                print(f"error: {part}: {error}", file=sys.stderr)
                bench.tidy()
                bench.figures.append({"figure": part, "value": "not measured", "floor": "", "verdict": "failed",
                                      "part": part})
            keep(chosen, host, bench)  # hours may follow
        failed |= bench.finish()
        host["taken by other machines"] = f"{100 * stolen(before):.1f} %"
        keep(chosen, host, bench)
        print("  ".join(f"{key}: {value}" for key, value in host.items()))
        if chosen.quick:
            print("--quick: sizes too small to prove anything")
        bench.print_table()
    except Failed as error:
        failed = True
        print(f"error: {error}", file=sys.stderr)
    finally:
        if bench:
            bench.close()
        left = mounts_below(scratch)
        if left:
            print(f"error: {left[0]} is still mounted; {scratch} is left", file=sys.stderr)
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    return 2 if failed else 0
