#!/usr/bin/env python3
"""Content digest of a plain directory, as docs/FORMAT.md §4.1 defines it.

    tree_digest.py PATH        prints sha256:<64 hexadecimal digits>

What a version of a dataset shows as its digest is recomputed here from the files alone: no store, no program of this
project. Names, kinds, the owner's executable bit and bytes enter; times, owners and other mode bits do not. Ignore
files are not applied: every entry counts. No symlink is followed, PATH included (write PATH/ to enter the directory
it points to). Exit status: 0 printed; 2 something could not be read, or is neither file, directory nor symlink.
"""
import hashlib
import os
import stat
import sys


def file_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest(path):
    """The kind letter and the content digest of what stands at PATH (bytes)."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return b"l", hashlib.sha256(os.readlink(path)).hexdigest()
    if stat.S_ISREG(mode):
        return b"x" if mode & stat.S_IXUSR else b"f", file_digest(path)
    if stat.S_ISDIR(mode):
        directory = hashlib.sha256(b"dfs.directory/1\0")
        for name in sorted(os.listdir(path)):
            kind, content = digest(os.path.join(path, name))
            directory.update(b"%s %s %s\0" % (kind, content.encode(), name))
        return b"d", directory.hexdigest()
    raise OSError(f"{path!r} is neither file, directory nor symlink")


def main():
    if len(sys.argv) != 2:
        print("usage: tree_digest.py PATH", file=sys.stderr)
        return 2
    sys.setrecursionlimit(100_000)
    try:
        print("sha256:" + digest(os.fsencode(sys.argv[1]))[1])
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
