"""A store, the hosts that use it, and what the harness knows of it without asking it."""
import copy, hashlib, json, os, pathlib, random, resource, shutil, signal, stat, subprocess

PATIENCE = 60  # seconds after which a command is said to hang
MEMORY = 2 << 30  # bytes that a command may take: one that goes on without end must not take the machine with it

REMOVED = 11  # the exit code of who asks for what was removed
MODEL = ("kept", "tags", "given", "leaving", "removed", "sound")  # what a World knows and the store does not


class Broken(Exception):
    """A promise was broken."""


def manifest(root):
    """What a directory holds: path -> kind and SHA-256 or target. Modes but the owner's executable bit do not count."""
    found, root = {}, os.fsencode(root)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            key = os.path.relpath(path, root)
            if stat.S_ISLNK(status.st_mode):
                found[key] = "link", os.readlink(path)
            elif stat.S_ISDIR(status.st_mode):
                found[key] = "directory", b""
            else:
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).digest()
                found[key] = "program" if status.st_mode & 0o100 else "file", digest
    return found


class Source:
    """A small directory with one of each: text, noise, a file of several chunks, a program, a link, an empty folder."""

    def __init__(self, path, rng, large=True):
        self.path, self.rng, self.turn = pathlib.Path(path), rng, 0
        (self.path / "deep/er").mkdir(parents=True)
        (self.path / "empty").mkdir()
        self.write("deep/er/text", b"".join(b"line %d\n" % i for i in range(3000)))
        self.write("program", b"#!/bin/sh\n")
        os.chmod(self.path / "program", 0o755)
        os.symlink("deep/er/text", self.path / "link")
        for name in "abc":
            self.write(name, rng.randbytes(rng.randrange(1, 9000)))
        self.write("nothing", b"")
        if large:
            self.write("large", rng.randbytes(400_000))
        self.change()

    def write(self, name, content):
        (self.path / name).write_bytes(content)

    def change(self):
        """The next version: a file rewritten, one added, one removed, and a number that makes it unlike any other."""
        self.turn += 1
        self.write("turn", b"%d %d\n" % (self.turn, self.rng.getrandbits(64)))
        self.write(self.rng.choice("abc"), self.rng.randbytes(self.rng.randrange(1, 9000)))
        self.write(f"deep/new{self.turn}", b"new %d\n" % self.turn * self.rng.randrange(1, 400))
        (self.path / f"deep/new{self.turn - 2}").unlink(missing_ok=True)
        return manifest(self.path)


class Answer:
    def __init__(self, words, code, output, error):
        self.words, self.code, self.output, self.error = words, code, output, error

    @property
    def rows(self):
        return [json.loads(line) for line in self.output.splitlines()]

    def __str__(self):
        return f"{' '.join(self.words)} -> {self.code}: {(self.output[-300:] + self.error[-600:]).strip()}"


class Host:
    """A machine of its own to the program: home, key, cache and index."""

    def __init__(self, world, name, cache=None):
        self.world, self.home = world, world.root / "hosts" / name
        self.cache = pathlib.Path(cache or self.home / "cache")
        for folder in (self.home / "run", self.cache):
            folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "HOME": str(self.home), "XDG_CACHE_HOME": str(self.cache), "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_RUNTIME_DIR": str(self.home / "run"), "XDG_DATA_HOME": str(self.home / "data"),
            "DFS_STORE": str(world.store), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "DFS_VIEW_LINGER": "0",
            "DFS_FREEZE_LIMIT": "0",
            "SWIFT_BACKTRACE": "enable=no", **({"DFS_DEFECT": world.settings.defect} if world.settings.defect else {})}

    def start(self, *words, fault=None, prefix=(), limits=(), more=None, within=None):
        """Starts a command; `limits` are pairs of resource and number."""
        environment = {**self.environment, **(more or {}), **({"DFS_FAULT": fault} if fault else {})}
        files = [open(self.world.root / f"{name}-{id(words)}", "w+") for name in ("out", "err")]
        for file in files:
            os.unlink(file.name)

        def limit():
            for what, number in ((resource.RLIMIT_DATA, MEMORY), *limits):
                resource.setrlimit(what, (number, number))
        process = subprocess.Popen(
            [*prefix, self.world.settings.dfs, *map(str, words)], env=environment, stdin=subprocess.DEVNULL,
            stdout=files[0], stderr=files[1], cwd=within or self.world.root, start_new_session=True,
            preexec_fn=limit)
        process.files, process.words = files, [str(word) for word in words]
        if fault:
            process.words.insert(0, f"DFS_FAULT={fault} dfs")
        return process

    def finish(self, process, patience=PATIENCE):
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Broken(f"{' '.join(process.words)} hangs")
        texts = []
        for file in process.files:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Answer(process.words, code, *texts)

    def run(self, *words, **options):
        """Runs a command to its end. A crash that nobody ordered is a broken promise."""
        answer = self.finish(self.start(*words, **options))
        if answer.code < 0 and answer.code != -signal.SIGKILL or answer.code >= 128 and not {*options} - {"within"}:
            raise Broken(f"crash: {answer}")
        return answer

    def must(self, *words, **options):
        answer = self.run(*words, **options)
        if answer.code:
            raise Broken(f"refused: {answer}")
        return answer

    def forget(self):
        """Loses what the host knows: the index."""
        shutil.rmtree(self.cache, ignore_errors=True)
        self.cache.mkdir(parents=True)


class World:
    """A store and the promises that were made. `root` is emptied."""

    def __init__(self, settings, root, store=None, caches=None):
        self.settings, self.root = settings, pathlib.Path(root)
        unmount_views(self.root / "hosts")
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "hosts").mkdir(parents=True)
        self.store, self.caches = pathlib.Path(store or self.root / "store"), caches
        self.kept, self.tags = {}, {}  # versions and tags that were acknowledged
        self.given = {}  # contents that commands were given
        self.leaving, self.removed = set(), set()  # versions whose removal was asked for, and acknowledged
        self.sound = set()  # versions that were read back
        self.exports = 0

    def host(self, name):
        return Host(self, name, pathlib.Path(self.caches, name) if self.caches else None)

    def source(self, name, rng, large=True):
        return Source(self.root / "sources" / name, rng, large)

    # Promises

    def begin(self, host, dataset, source, extra=(), **options):
        """Starts to commit a source as it is."""
        content = manifest(source.path)
        self.given.setdefault(dataset, []).append(content)
        process = host.start("commit", dataset, source.path, "--json", "--allow-shrink", *extra, **options)
        process.promise = dataset, content
        return process

    def acknowledge(self, process, answer):
        """Notes what a commit said that it recorded, whatever became of it afterwards."""
        dataset, content = process.promise
        try:
            version = int(json.loads(answer.output.splitlines()[0])["version"])
        except (ValueError, IndexError, KeyError):
            if answer.code == 0:
                raise Broken(f"success without a version: {answer}")
            return None
        if self.kept.setdefault((dataset, version), content) != content:
            raise Broken(f"{dataset} v{version} was acknowledged twice with different contents")
        return version

    def commit(self, host, dataset, source, **options):
        """Commits and returns the answer, which may be a failure."""
        process = self.begin(host, dataset, source, **options)
        answer = host.finish(process)
        if answer.code < 0 and answer.code != -signal.SIGKILL:
            raise Broken(f"crash: {answer}")
        self.acknowledge(process, answer)
        return answer

    def record(self, host, dataset, source):
        answer = self.commit(host, dataset, source)
        if answer.code:
            raise Broken(f"refused: {answer}")
        return self.kept_latest(dataset)

    def kept_latest(self, dataset):
        return max((version for name, version in self.kept if name == dataset), default=0)

    def tag(self, host, dataset, version, tag, **options):
        answer = host.run("tag", f"{dataset}@v{version}", tag, **options)
        if answer.code == 0:
            self.tags[dataset, tag] = version
        return answer

    def start_removal(self, host, reference, **options):
        """Starts to take a version, or a whole dataset, out of history."""
        dataset, _, version = reference.partition("@v")
        asked = {key for key in self.kept if key[0] == dataset and (not version or key[1] == int(version))}
        self.leaving |= asked
        process = host.start("dataset", "rm", reference, "--reason", "harness", **options)
        process.promise = asked
        return process

    def acknowledge_removal(self, process, answer):
        if answer.code == 0:
            self.gone(process.promise)

    def remove(self, host, reference):
        process = self.start_removal(host, reference)
        answer = host.finish(process)
        if answer.code:
            raise Broken(f"refused: {answer}")
        self.acknowledge_removal(process, answer)

    def gone(self, keys):
        """From now on these must be known, and refused."""
        self.removed |= keys
        self.leaving -= keys
        self.sound -= keys
        self.kept = {key: content for key, content in self.kept.items() if key not in keys}

    # Checks

    def export(self, host, dataset, version):
        """What a version reads as; `None` with an error."""
        self.exports += 1
        target = self.root / "exported"
        shutil.rmtree(target, ignore_errors=True)
        answer = host.run("export", f"{dataset}@v{version}", target)
        return (manifest(target) if answer.code == 0 else None), answer

    def listing(self, host):
        """Versions that the store lists, tags, and versions that it says were removed: what every reader sees."""
        return listed(host.must("log", "--json"))

    def check(self, host, everything=True, verify=True, next_source=None):
        """Everything acknowledged is there and byte-identical, nothing else but what some command was given, and the
        next commit works."""
        if verify:
            answer = host.run("verify", "--data")
            if answer.code:
                raise Broken(f"{answer}")
        versions, tags, removed = self.listing(host)
        self.gone(self.leaving & removed)
        self.check_removed(host, removed)
        for (dataset, version), content in self.kept.items():
            if (dataset, version) not in versions:
                raise Broken(f"LOST: {dataset} v{version} was acknowledged and is not there")
        for key, version in self.tags.items():
            if tags.get(key) != version:
                raise Broken(f"LOST: tag {key} was acknowledged on v{version} and is on {tags.get(key)}")
        known = {*versions, *removed}
        for dataset in {name for name, _ in known}:
            numbers = sorted(version for name, version in known if name == dataset)
            if numbers != list(range(1, len(numbers) + 1)):
                raise Broken(f"versions of {dataset} have a gap: {numbers}")
        for dataset, version in sorted(versions):
            if not everything and (dataset, version) in self.sound:
                continue
            content, answer = self.export(host, dataset, version)
            if content is None:
                raise Broken(f"LOST: {answer}")
            wanted = self.kept.get((dataset, version))
            if wanted is None and content in self.given.get(dataset, []):
                # Recorded, and its author was killed before he could say so: from now on it must stay.
                self.kept[dataset, version] = wanted = content
            if content != wanted:
                raise Broken(f"WRONG BYTES: {dataset} v{version} {difference(wanted or {}, content)}")
            self.sound.add((dataset, version))
        if next_source:
            next_source.change()
            self.record(host, "next", next_source)
        return versions

    def check_removed(self, host, found):
        """What was removed, and nothing else, is said to be, and nobody gets it."""
        if found != self.removed:
            raise Broken(f"removed are {sorted(found)}, and should be {sorted(self.removed)}")
        for dataset, version in sorted(found):
            content, answer = self.export(host, dataset, version)
            if content is not None or answer.code != REMOVED:
                raise Broken(f"BACK: {dataset} v{version} was removed: {answer}")

    # Worlds that are put back

    def save(self):
        saved = self.root.with_name(self.root.name + ".saved")
        shutil.rmtree(saved, ignore_errors=True)
        saved.mkdir()
        for part in ("store", "hosts"):
            subprocess.run(["cp", "-a", self.root / part, saved], check=True)
        return saved, copy.deepcopy({name: getattr(self, name) for name in MODEL})

    def restore(self, state):
        saved, model = state
        unmount_views(self.root / "hosts")
        for part in ("store", "hosts"):
            shutil.rmtree(self.root / part, ignore_errors=True)
            subprocess.run(["cp", "-a", saved / part, self.root], check=True)
        for name, value in copy.deepcopy(model).items():
            setattr(self, name, value)


def unmount_views(root):
    """Killed runs leave the mounts of their views behind, or servers that are just about to unmount them."""
    words = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
    for _ in range(100):
        with open("/proc/self/mounts") as file:
            places = [place for place in (line.split(" ")[1] for line in file) if place.startswith(f"{root}/")]
        if not places:
            return
        for place in places:
            subprocess.run([*words, place], capture_output=True)
    raise RuntimeError(f"cannot be unmounted: {places}")


def listed(answer):
    """What `dfs log --json` answered."""
    versions, tags, removed = {}, {}, set()
    for row in answer.rows:
        if row["type"] != "version":
            continue
        if "removed" in row:
            removed.add((row["dataset"], row["version"]))
            continue
        versions[row["dataset"], row["version"]] = row["content"]
        tags.update({(row["dataset"], tag): row["version"] for tag in row["tags"]})
    return versions, tags, removed


def difference(wanted, found):
    return ", ".join(
        f"{os.fsdecode(key)}: {'missing' if key not in found else 'extra' if key not in wanted else 'changed'}"
        for key in sorted({*wanted, *found}) if wanted.get(key) != found.get(key))[:300]


def two_versions(settings, root, rng, large=True):
    """A world with a history: two versions and a tag, by a host that has an index. Returns it, host and source."""
    world = World(settings, root)
    host, source = world.host("a"), world.source("d", rng, large)
    host.must("init")
    world.record(host, "d", source)
    source.change()
    world.record(host, "d", source)
    if world.tag(host, "d", 1, "first").code:
        raise Broken("cannot tag")
    return world, host, source


def rng_of(*parts):
    return random.Random("/".join(map(str, parts)))
