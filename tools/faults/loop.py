"""File systems of our own: images on loop devices, whose power can be cut."""
import ctypes, fcntl, os, pathlib, struct, subprocess, time

SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125  # EXT4_IOC_SHUTDOWN
JOURNAL_WRITTEN, NOTHING_WRITTEN = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


def unavailable():
    """Why no file system can be mounted here; `None` when one can."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    if subprocess.run(["which", "mkfs.ext4"], capture_output=True).returncode:
        return "no mkfs.ext4"
    return None


def keep_mounts_private():
    """Mounts of ours are seen by us and our children only, and go with us."""
    if libc.unshare(0x00020000) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Loop:
    """An ext4 in a file."""

    def __init__(self, root, megabytes=64, options=()):
        self.image, self.place = pathlib.Path(root, "image"), pathlib.Path(root, "disk")
        pathlib.Path(root).mkdir(parents=True, exist_ok=True)
        self.place.mkdir(exist_ok=True)
        self.image.unlink(missing_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", *options, self.image], check=True)
        self.mounted = False

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.place], check=True)
        self.mounted = True

    def unmount(self):
        for _ in range(100):
            if subprocess.run(["umount", self.place], capture_output=True).returncode == 0:
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{self.place} cannot be unmounted")
        self.mounted = False

    def cut(self, flag):
        """What was not written is lost."""
        file = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(file, SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(file)

    def write_back_some(self, rng):
        """The kernel writes when it likes: some files, some parts of files, so that what lasts is not in order."""
        for folder, _, files in os.walk(self.place):
            for name in files:
                if rng.random() < 0.3:
                    try:
                        file = os.open(os.path.join(folder, name), os.O_RDONLY)
                    except OSError:
                        continue
                    size = os.fstat(file).st_size
                    libc.sync_file_range(file, ctypes.c_long(rng.randrange(size + 1) & -4096), ctypes.c_long(16384), 7)
                    os.close(file)

    def is_sound(self):
        return subprocess.run(["e2fsck", "-fn", self.image], capture_output=True).returncode == 0
