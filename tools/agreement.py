#!/usr/bin/env python3
"""agreement.py DFS STORE [COUNT] [SEED]: alters copies of STORE in one place each and compares two verifiers.

For each of COUNT (200) copies one file is changed: a bit flipped, bytes cut off, a byte added, two files exchanged, a file removed.
`DFS audit verify --all-runs` and `tools/verify.py --all-runs` must both call the copy good or both call it bad.
DFS is the program `dfs`. Prints each disagreement and a count; exit status 1 when there was one."""
import concurrent.futures, os, pathlib, random, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent


def alter(store, rng):
    """Changes one place of a store; returns what was done."""
    files = sorted(
        p for p in store.rglob("*") if p.is_file() and p.relative_to(store).parts[0] not in ("live", "tmp"))
    target = rng.choice(files)
    name = str(target.relative_to(store))
    os.chmod(target, 0o644)
    data = bytearray(target.read_bytes())
    kind = rng.choice(["flip", "flip", "flip", "flip", "cut", "add", "exchange", "remove"])
    if kind == "flip" and data:
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        target.write_bytes(data)
        return f"bit flipped at byte {at} of {name}"
    if kind == "cut" and data:
        keep = rng.randrange(len(data))
        target.write_bytes(data[:keep])
        return f"{name} cut to {keep} bytes"
    if kind == "exchange":
        other = rng.choice([p for p in files if p.suffix == target.suffix])
        os.chmod(other, 0o644)
        a, b = target.read_bytes(), other.read_bytes()
        target.write_bytes(b)
        other.write_bytes(a)
        return f"{name} exchanged with {other.relative_to(store)}" + (" (itself)" if other == target else "")
    if kind == "remove":
        target.unlink()
        return f"{name} removed"
    target.write_bytes(data + b"\0")
    return f"a byte added to {name}"


def verdicts(dfs, store, home):
    """What each verifier says: True for good, False for bad."""
    environment = dict(os.environ, HOME=home, XDG_CACHE_HOME=f"{home}/cache", XDG_CONFIG_HOME=f"{home}/config")
    ours = subprocess.run(
        [dfs, "--store", str(store), "audit", "verify", "--all-runs"], env=environment, capture_output=True, text=True)
    theirs = subprocess.run(
        [sys.executable, str(HERE / "verify.py"), str(store), "--all-runs"], capture_output=True, text=True)
    return ours, theirs


def trial(dfs, original, seed):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        store = pathlib.Path(scratch, "store")
        shutil.copytree(original, store)
        what = alter(store, rng)
        ours, theirs = verdicts(dfs, store, scratch)
    agree = (ours.returncode == 0) == (theirs.returncode == 0)
    trapped = ours.returncode < 0 or ours.returncode > 120
    return what, ours.returncode == 0, agree and not trapped, ours, theirs


def main(dfs, store, count="200", seed="1"):
    dfs, count, seed = os.path.abspath(dfs), int(count), int(seed)
    bad = disagreements = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for what, good, agree, ours, theirs in pool.map(
                lambda i: trial(dfs, store, seed * 100_000 + i), range(count)):
            bad += not good
            if not agree:
                disagreements += 1
                print(f"disagreement: {what}\n  dfs ({ours.returncode}): {(ours.stdout + ours.stderr).strip()[-300:]}"
                      f"\n  verify.py ({theirs.returncode}): {(theirs.stdout + theirs.stderr).strip()[-300:]}")
    print(f"{count} altered stores (seed {seed}): {bad} called bad by both, {disagreements} disagreements")
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else print(__doc__) or 2)
