#define _GNU_SOURCE
#include "CLinuxLaunch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>


int clinux_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

// Numbers and layout of mount_setattr(2) are the same on every architecture; older C libraries lack them.
struct read_only_attribute {
    uint64_t set, clear, propagation, userns;
};
int clinux_mount_read_only(const char *path, int recursive) {
    struct read_only_attribute attribute = {.set = 1 /* MOUNT_ATTR_RDONLY */};
    return (int)syscall(442, AT_FDCWD, path, recursive ? 0x8000 /* AT_RECURSIVE */ : 0, &attribute, sizeof attribute);
}

int clinux_remount_read_only(const char *path) {
    struct statvfs now;
    if (statvfs(path, &now)) return -1;
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    if (now.f_flag & ST_NOSUID) flags |= MS_NOSUID;
    if (now.f_flag & ST_NODEV) flags |= MS_NODEV;
    if (now.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
    if (now.f_flag & ST_NOATIME) flags |= MS_NOATIME;
    if (now.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
    if (now.f_flag & ST_RELATIME) flags |= MS_RELATIME;
    return mount(NULL, path, NULL, flags, NULL);
}

int clinux_become(unsigned uid, unsigned gid) {
    gid_t only = gid;
    if (setgroups(1, &only)) return -1;
    if (setresgid(gid, gid, gid)) return -1;
    return setresuid(uid, uid, uid);
}

int clinux_exec(const char *file, char *const arguments[], char *const environment[]) {
    environ = (char **)environment;
    return execvp(file, arguments);
}
char **clinux_environment(void) { return environ; }

int clinux_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }

void clinux_reset_signals(void) {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static volatile int relay_fd = -1;
static int relay_count;
static struct {
    int number;
    struct sigaction before;
} relayed[16];

static void relay(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    // si_pid says nothing: it is 0 also for a sender outside our pid namespace (`docker stop`).
    struct clinux_signal event = {.signal = number, .from_kernel = info->si_code > 0};
    ssize_t ignored = write(relay_fd, &event, sizeof event);
    (void)ignored;
    errno = saved;
}

int clinux_relay_start(int fd, const int *signals, int count) {
    if (relay_fd != -1 || count > 16) {
        errno = EBUSY;
        return -1;
    }
    relay_fd = fd;
    relay_count = 0;
    for (int i = 0; i < count; i++) {
        struct sigaction action = {.sa_sigaction = relay, .sa_flags = SA_SIGINFO | SA_RESTART}, before;
        sigfillset(&action.sa_mask);
        if (sigaction(signals[i], NULL, &before)) return -1;
        if (before.sa_handler == SIG_IGN && !(before.sa_flags & SA_SIGINFO) && signals[i] != SIGCHLD) continue;
        relayed[relay_count].number = signals[i];
        relayed[relay_count++].before = before;
        if (sigaction(signals[i], &action, NULL)) return -1;
    }
    return 0;
}

void clinux_relay_stop(int fd) {
    if (relay_fd != fd) return;
    while (relay_count > 0) {
        relay_count--;
        sigaction(relayed[relay_count].number, &relayed[relay_count].before, NULL);
    }
    relay_fd = -1;
}

static int put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t written = write(fd, text, strlen(text));
    int saved = errno;
    close(fd);
    errno = saved;
    return written < 0 ? -1 : 0;
}

// Runs between fork and _exit: system calls only.
static void probe(int user, const char *users, const char *groups, const char *layer,
                  struct clinux_namespace_probe *out) {
    if (unshare(user ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS)) {
        out->unshare_error = errno;
        return;
    }
    if (user && (put("/proc/self/setgroups", "deny") || put("/proc/self/uid_map", users) ||
                 put("/proc/self/gid_map", groups))) {
        out->map_error = errno;
        return;
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) {
        out->mount_error = errno;
        return;
    }
    if (!layer) return;
    // `volatile`, because without it the kernel syncs the whole file system when the probe ends (from Linux 5.10).
    const char *options = user ? "volatile,lowerdir=lower,upperdir=upper,workdir=work,userxattr"
                               : "volatile,lowerdir=lower,upperdir=upper,workdir=work";
    if (chdir(layer) || (mount("overlay", "lower", "overlay", 0, options) &&
                         mount("overlay", "lower", "overlay", 0, options + strlen("volatile,")))) {
        out->overlay_error = errno;
    }
}

int clinux_probe_namespace(int user, const char *layer, struct clinux_namespace_probe *result) {
    char users[64], groups[64];
    snprintf(users, sizeof users, "%u %u 1\n", geteuid(), geteuid());
    snprintf(groups, sizeof groups, "%u %u 1\n", getegid(), getegid());
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -1;
    pid_t child = fork();
    if (child == 0) {
        // A child of the child, which nobody waits for: taking a mount namespace down lasts longer than all the rest.
        if (fork()) _exit(0);
        struct clinux_namespace_probe found = {0};
        probe(user, users, groups, layer, &found);
        _exit(write(ends[1], &found, sizeof found) == sizeof found ? 0 : 1);
    }
    int saved = errno;
    close(ends[1]);
    ssize_t got = child < 0 ? -1 : read(ends[0], result, sizeof *result);
    close(ends[0]);
    if (child < 0) {
        errno = saved;
        return -1;
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    if (got == sizeof *result) return 0;
    errno = EIO;
    return -1;
}

int clinux_terminal(char *name, size_t size) {
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (grantpt(fd) || unlockpt(fd) || (errno = ptsname_r(fd, name, size))) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int clinux_join_namespace(int fd) { return setns(fd, 0); }

int clinux_idle_io(void) {
    // IOPRIO_WHO_PROCESS, the caller, IOPRIO_CLASS_IDLE.
    return (int)syscall(SYS_ioprio_set, 1, 0, 3 << 13);
}
