#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

int clinux_openat(int directory, const char *path, int flags, unsigned mode) {
    return openat(directory, path, flags, mode);
}
int clinux_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }
int clinux_ioctl(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }
int clinux_prctl(int option, unsigned long argument) { return prctl(option, argument, 0, 0, 0); }

int clinux_rename_noreplace(int olddir, const char *old, int newdir, const char *new_) {
    return renameat2(olddir, old, newdir, new_, RENAME_NOREPLACE);
}
int clinux_clone_file(int target, int source) { return ioctl(target, FICLONE, source); }

int clinux_start_writeback(int fd, int64_t offset, int64_t length) {
    return sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

void clinux_map_large_blocks(int threshold) { mallopt(M_MMAP_THRESHOLD, threshold); }

int clinux_has_xattrs(int fd) { return flistxattr(fd, NULL, 0) > 0; }
int64_t clinux_readlinkat(int directory, const char *path, void *buffer, size_t length) {
    return readlinkat(directory, path, buffer, length);
}

int clinux_unshare(int flags) { return unshare(flags); }
int clinux_pivot_root(const char *new_root, const char *put_old) {
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}
const int clinux_CLONE_NEWNS = CLONE_NEWNS, clinux_CLONE_NEWUSER = CLONE_NEWUSER;

int clinux_wifexited(int status) { return WIFEXITED(status); }
int clinux_wexitstatus(int status) { return WEXITSTATUS(status); }
int clinux_wifsignaled(int status) { return WIFSIGNALED(status); }
int clinux_wtermsig(int status) { return WTERMSIG(status); }

const char *clinux_dirent_name(const struct dirent *entry) { return entry->d_name; }
unsigned char clinux_dirent_type(const struct dirent *entry) { return entry->d_type; }

long clinux_filesystem_type(const char *path) {
    struct statfs s;
    return statfs(path, &s) == 0 ? (long)(unsigned long)(unsigned)s.f_type : -1;
}

const int clinux_O_PATH = O_PATH;

int clinux_clock_state(int *synchronised, long *offset_nanoseconds, long *maximum_error_microseconds) {
    struct timex t = {0};
    int state = adjtimex(&t);
    if (state == -1) return -1;
    *synchronised = state != TIME_ERROR && !(t.status & STA_UNSYNC);
    *offset_nanoseconds = t.status & STA_NANO ? t.offset : t.offset * 1000;
    *maximum_error_microseconds = t.maxerror;
    return 0;
}

int clinux_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }

int clinux_fsopen(const char *type) { return (int)syscall(430, type, 1 /* FSOPEN_CLOEXEC */); }

int clinux_fsconfig(int context, unsigned command, const char *key, const char *value) {
    return (int)syscall(431, context, command, key, value, 0);
}

int clinux_fsmount_at(int context, const char *path) {
    // MOUNT_ATTR_RDONLY, _NOSUID, _NODEV.
    int mount = (int)syscall(432, context, 1 /* FSMOUNT_CLOEXEC */, 1 | 2 | 4);
    if (mount < 0) return -1;
    int result = (int)syscall(429, mount, "", AT_FDCWD, path, 4 /* MOVE_MOUNT_F_EMPTY_PATH */);
    int saved = errno;
    close(mount);
    errno = saved;
    return result;
}

int clinux_bind_mount(const char *source, const char *path) {
    return mount(source, path, NULL, MS_BIND, NULL);
}

int clinux_signal_descriptor(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
