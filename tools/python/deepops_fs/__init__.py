"""Metrics, parameters and paths of a DeepOps FS run.

Inside a run (``dfs-run … python train.py``) everything goes where the run's environment says; outside, calls do
nothing, warn once, and the script goes on.
"""

import errno
import json
import os
import threading
import warnings

__all__ = ["OutsideRun", "data", "inside", "log", "outputs", "params", "run_id", "seed"]
__version__ = "0.1.0"


class OutsideRun(UserWarning):
    """A call that means something in a run only."""


_lock = threading.Lock()
_files = {}
_warned = set()


def inside():
    """Whether this process belongs to a run."""
    return bool(os.environ.get("DFS_RUN_ID"))


def run_id():
    """The run's id, or None outside a run."""
    return os.environ.get("DFS_RUN_ID") or None


def seed(default=0):
    """The run's seed (``DFS_SEED``) as an int. Nothing seeds a library by itself."""
    text = os.environ.get("DFS_SEED")
    if text:
        return int(text)
    _outside("seed", "seed() is %r" % (default,))
    return default


def data(key=None, default=None):
    """The directory of the data under ``key``; without a key that of the only one, or the one that holds all."""
    root = os.environ.get("DFS_DATA")
    if key is not None:
        found = os.environ.get("DFS_DATA_" + _variable(key))
        if found:
            return found
        path = os.path.join(root, key) if root else None
        if path and os.path.isdir(path):
            return path
        if root:
            raise KeyError("this run has no data under %r; dfs-run --data %s=DATASET" % (key, key))
    elif root:
        keys = sorted(os.listdir(root))
        return os.path.join(root, keys[0]) if len(keys) == 1 else root
    _outside("data", "data(%s) is %r" % ("" if key is None else repr(key), default))
    return default


def outputs(*parts, default="."):
    """A path below the directory whose files the run records; the directories that lead to it are made."""
    root = os.environ.get("DFS_OUTPUTS")
    if not root:
        _outside("outputs", "outputs() is %r" % (default,))
        root = default
    path = os.path.join(root, *parts)
    if len(parts) > 0:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return path


def log(step=None, **metrics):
    """Records metrics, with the step at which they were taken. Nested dictionaries are read as ``outer.inner``."""
    line = {} if step is None else {"step": _plain(step)}
    line.update((name, _plain(value)) for name, value in metrics.items())
    _write(line, "log")


def params(**values):
    """Records what was chosen for the whole run: hyperparameters. A later value replaces an earlier one."""
    _write({"params": {name: _plain(value) for name, value in values.items()}}, "params")


def _variable(key):
    # As dfs-run makes the names of variables: byte by byte.
    return "".join(chr(byte) if 48 <= byte <= 57 or 65 <= byte <= 90 else "_" for byte in key.upper().encode())


def _plain(value):
    """What json can write: numbers of other libraries as numbers."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    for convert in (lambda: value.item(), lambda: value.tolist(), lambda: float(value)):
        try:
            found = convert()
        except Exception:
            continue
        if found is not value and isinstance(found, (bool, int, float, str, list)):
            return _plain(found)
    return repr(value)


def _write(line, call):
    path = os.environ.get("DFS_METRICS")
    if not path:
        return _outside(call, "%s() records nothing" % call, depth=5)
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=True) + "\n"
    try:
        _append(path, text.encode("ascii"))
    except OSError as error:
        _once(("write", path, error.errno), "a line for %s is lost: %s" % (path, error), RuntimeWarning)


def _append(path, line):
    with _lock:
        file = _files.get(path)
        if file is None:
            file = _files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    # One call: the kernel appends it whole, whoever else writes.
    written = os.write(file, line)
    if written < len(line):
        # Ends the torn line, so that the next one is read.
        os.write(file, b"\n")
        raise OSError(errno.ENOSPC, "only %d of %d bytes could be written" % (written, len(line)))


def _outside(call, what, depth=4):
    _once(call, "not in a dfs-run: " + what, OutsideRun, depth)


def _once(key, text, category, depth=4):
    # The depth is that of the script's own line, which the warning names.
    with _lock:
        if key in _warned:
            return
        _warned.add(key)
    warnings.warn(text, category, stacklevel=depth)
