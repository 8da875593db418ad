#ifndef DFS_CLINUX_LAUNCH_H
#define DFS_CLINUX_LAUNCH_H
// What the launcher needs and Swift cannot do itself: code in signal handlers, between fork and exec, and calls that
// glibc declares only for _GNU_SOURCE.
#include <stdint.h>
#include <sys/types.h>


int clinux_memfd(const char *name);

// A new pseudo-terminal: the descriptor of its master, and the path of its slave. -1 on failure.
int clinux_terminal(char *name, size_t size);

// Makes the mount at `path` read-only, with `recursive` also those below it. mount_setattr(2): ENOSYS before Linux 5.12.
int clinux_mount_read_only(const char *path, int recursive);
// The same for one mount by a remount that keeps the flags it has (in a user namespace they are locked).
int clinux_remount_read_only(const char *path);

// setns(2), whatever kind the namespace is of.
int clinux_join_namespace(int fd);

// Gives up root: only group `gid`, then user `uid`, for good.
int clinux_become(unsigned uid, unsigned gid);

// execvp(3) in environment `environment`, whose PATH is searched. Returns only on failure.
int clinux_exec(const char *file, char *const arguments[], char *const environment[]);
char **clinux_environment(void);

// The kernel sends SIGKILL to this process when the thread that started it ends.
int clinux_die_with_parent(void);

// Unblocks all signals and gives SIGPIPE and SIGXFSZ their default action; ignored signals stay ignored (nohup).
void clinux_reset_signals(void);

struct clinux_signal {
    int32_t signal;
    int32_t from_kernel;  // made by the kernel (a terminal's Ctrl-C reaches the whole process group) and not by kill(2)
};
// Writes a struct clinux_signal to the non-blocking `fd` for each of `signals` that arrives. What is ignored stays
// ignored, SIGCHLD excepted. One relay at a time: EBUSY.
int clinux_relay_start(int fd, const int *signals, int count);
// Puts back the handlers that clinux_relay_start replaced, if the relay is the one to `fd`.
void clinux_relay_stop(int fd);

// This process does I/O only when nobody else does (ioprio_set(2), class "idle").
int clinux_idle_io(void);

struct clinux_namespace_probe {
    int32_t unshare_error, map_error, mount_error, overlay_error;  // errno, or 0
};
// In a child process: makes a mount namespace (with `user`, in a user namespace of its own), makes its mounts slaves
// and, unless `layer` is NULL, mounts an overlay of the directories `lower`, `upper` and `work` in it.
// Returns -1 when the child gave no answer; the namespace may be gone only a little later.
int clinux_probe_namespace(int user, const char *layer, struct clinux_namespace_probe *result);
#endif
