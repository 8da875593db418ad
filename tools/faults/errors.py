"""Calls that fail: any errno at any call, once or from then on; short counts; full disks; no descriptors left."""
import errno, hashlib, os, pathlib, re, resource, shutil, signal, subprocess
from .loop import Loop, unavailable
from .points import ONE_THREAD, Stage, count, count_all
from .runner import Tally, run_cases
from .world import Broken, World, manifest, rng_of

ERRORS = ("EIO", "ENOSPC", "EMFILE", "EDQUOT", "ENOMEM", "EACCES")
READING = ("export", "verify", "log", "status", "mount")
WRITING = ("run", "gc", "commit", "remove", "tag", "take")


def run(settings):
    tally = Tally(settings, "errors")
    rng = rng_of(settings.seed, "errors")
    cases = []
    if not settings.case:
        operations = [*WRITING, *READING]
        calls = count_all(settings, [*operations, "fsync"], "errors", calls_of)
        # Every failed fsync of a commit: with none of them there may be a success that lacks it.
        cases = [f"commit:fsync:{n}:EIO" for n in range(1, calls["fsync"] + 1, 5 if settings.small else 1)]
        # A random sample of (operation, call, errno), half of it lasting.
        number = 32 if settings.small else 400
        while len(cases) < number:
            operation = rng.choice(operations)
            call, lasts = rng.randrange(1, calls[operation] + 1), rng.choice(["", "+"])
            cases.append(f"{operation}:any:{call}{lasts}:{rng.choice(ERRORS)}")
        cases += [f"{operation}:short:{n}:-" for n in range(2 if settings.small else 20)
                  for operation in ("commit", "export", "verify", "tag")]
        first, step = (3 + settings.seed % 9, 9) if settings.small else (3, 1)
        cases += [f"{operation}:descriptors:{n}:-" for n in range(first, 40, step)
                  for operation in ("commit", "export")]
        cases += [f"commit:size:{n}:-" for n in (400, 5000, 100_000)]
        cases += [f"full:{what}:{n}:-" for what in ("blocks", "inodes") for n in range(1 if settings.small else 4)]
    run_cases(tally, cases, lambda root: runner(settings, root))
    return tally


def calls_of(stage, operation):
    """How many calls an operation makes, about; the server of a mount is another process."""
    if operation in READING:
        low = 1
        while low < 4096 and is_harmed(operation, read(stage, operation, fault=f"any:{low}:kill")):
            low *= 2
        return low
    if operation == "fsync":
        stage.extra = ONE_THREAD
        calls = count(stage, "commit", "fsync")
        stage.extra = ()
        return calls
    return max(1, count(stage, operation, roughly=True))


def is_harmed(operation, answer):
    """Whether a kill hit: `dfs status` fails when there is something new, too."""
    return answer.code != 0 if operation == "mount" else answer.code == -signal.SIGKILL


def read(stage, operation, **options):
    """An operation that changes nothing. What it hands out is right, or it fails."""
    host, world = stage.host, stage.world
    world.restore(stage.state)
    target = world.root / "read"
    shutil.rmtree(target, ignore_errors=True)
    if operation == "mount":
        return mounted(stage, world.root / "mountpoint", **options)
    words = {"export": ["export", "d@v2", target], "verify": ["verify", "--data"], "log": ["log", "--json"],
             "status": ["status", "d", stage.source.path]}[operation]
    answer = host.run(*words, **options)
    if operation == "export" and answer.code == 0 and manifest(target) != world.kept["d", 2]:
        raise Broken(f"WRONG BYTES: {answer}")
    if operation == "log" and answer.code == 0 and sum(row["type"] == "version" for row in answer.rows) != 4:
        raise Broken(f"versions are missing: {answer}")
    return answer


def mounted(stage, target, **options):
    """Reads a version through a mount whose server meets the fault: each file is right, or an error."""
    target.mkdir(exist_ok=True)
    wanted, failed = stage.world.kept["d", 2], 0
    try:
        answer = stage.host.run("mount", target, **options)
        if answer.code:
            return answer
        for name, (kind, digest) in wanted.items():
            if kind not in ("file", "program"):
                continue
            path = os.path.join(os.fsencode(target), b"datasets/d/v2", name)
            try:
                data = pathlib.Path(os.fsdecode(path)).read_bytes()
            except OSError as error:
                failed += 1
                if error.errno not in (errno.EIO, errno.ENOTCONN, errno.ENOENT, errno.ECONNABORTED, errno.ENOMEM,
                                       errno.EMFILE, errno.EACCES, errno.ENOSPC, errno.EDQUOT):
                    raise Broken(f"mount: {name}: {error}")
                continue
            if hashlib.sha256(data).digest() != digest:
                raise Broken(f"WRONG BYTES: mount, {name}: {len(data)} bytes")
    finally:
        stage.host.run("umount", target)
        while subprocess.run(["umount", "-l", target], capture_output=True).returncode == 0:
            pass
        end_servers(stage.world.root)
    answer.code = 1 if failed else 0
    return answer


def end_servers(root):
    """Servers of this world that did not end with their mount."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if words.startswith(b"dfs\0__serve\0") and b"\0" + os.fsencode(root) + b"/" in words:
            os.kill(int(process.name), signal.SIGKILL)


def runner(settings, root):
    stage = None

    def run(case):
        nonlocal stage
        operation, kind, number, name = case.split(":")
        if operation == "full":
            return full(settings, root.with_name(root.name + "-full"), kind, rng_of(settings.seed, case))
        stage = stage or Stage(settings, root)
        options, what = options_of(settings, kind, number, name)
        stage.extra = ()
        if kind == "fsync":
            trace, stage.extra = stage.world.root / "trace", ONE_THREAD
            options["prefix"] = ["strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=fsync,renameat2,link,mkdir"]
        if operation in READING:
            answer = read(stage, operation, **options)
        else:
            answer = stage.finish(operation, stage.start(operation, **options))
        outcome = "came through" if answer.code == 0 else "refused"
        if kind == "fsync" and answer.code == 0 and (names := not_durable(trace.read_text(), stage.world.store)):
            raise Broken(f"acknowledged, and not durable: {names}: {answer}")
        if kind == "short" and answer.code:
            raise Broken(f"a short count is no error: {answer}")
        if answer.code and not (answer.error + answer.output).strip():
            raise Broken(f"no word of why: {answer}")
        stage.check(operation, fresh=hash(case) % 2)
        return [f"{what}", outcome]
    return run


def not_durable(trace, store):
    """Names that were given in the store though the file was not fsynced before, or the folder not after. An fsync that
    is failed on purpose is not seen."""
    synced, folders, names = set(), set(), set()
    for line in trace.splitlines():
        if found := re.search(r"fsync\(\d+<(.*?)>", line):
            synced.add(found[1])
            folders.discard(found[1])
        elif found := re.search(r'(?:renameat2|link)\([^"]*"([^"]*)", [^"]*"([^"]*)".* = 0$', line):
            if found[2].startswith(f"{store}/"):
                folders.add(os.path.dirname(found[2]))
                names |= set() if found[1] in synced else {found[2]}
        elif found := re.search(r'mkdir\("([^"]*)".* = 0$', line):
            folders |= {os.path.dirname(found[1])} if found[1].startswith(f"{store}/") else set()
    return names | folders


def options_of(settings, kind, number, name):
    if kind == "short":
        return {"more": {"LD_PRELOAD": str(short_library(settings)), "DFS_SHORT": number}}, "short counts"
    if kind == "descriptors":
        return {"limits": [(resource.RLIMIT_NOFILE, int(number))]}, "without descriptors"
    if kind == "size":
        return {"limits": [(resource.RLIMIT_FSIZE, int(number))]}, "file size limits"
    return {"fault": f"{kind}:{number}:{getattr(errno, name)}"}, "failed fsyncs" if kind == "fsync" else "errors"


def short_library(settings):
    library = settings.scratch / "short.so"
    if not library.exists():
        new = library.with_suffix(f".{os.getpid()}")
        source = pathlib.Path(__file__).with_name("short.c")
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", new, source, "-ldl"], check=True)
        new.rename(library)
    return library


def full(settings, root, what, rng):
    """Commits until the store's disk has nothing left, then gives some back."""
    if unavailable():
        return [f"skipped ({unavailable()})"]
    disk = Loop(root, 8, ["-N", "144"] if what == "inodes" else [])
    disk.mount()
    try:
        world = World(settings, root / "world", store=disk.place / "store",
                      caches=disk.place / "caches" if rng.random() < 0.5 else None)
        host, source = world.host("a"), world.source("d", rng)
        filler = disk.place / "filler"
        filler.write_bytes(bytes(1 << 20))
        spare = [disk.place / f"spare{n}" for n in range(48)]
        for path in spare:
            path.touch()
        host.must("init")
        for _ in range(40):
            source.change()
            source.write("large", rng.randbytes(400_000))
            answer = world.commit(host, "d", source)
            if answer.code:
                break
        else:
            raise Broken("the disk never was full")
        if "hint:" not in answer.error:
            raise Broken(f"no hint: {answer}")
        world.check(host, verify=False)
        for path in [filler, *spare]:
            path.unlink()
        world.check(world.host("a"), next_source=world.source("next", rng, large=False))
        world.check(world.host("fresh"))
    finally:
        disk.unmount()
    return [f"disks without {what}"]
