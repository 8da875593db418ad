#ifndef DFS_CLINUX_H
#define DFS_CLINUX_H
// System calls and constants that the Glibc module does not offer to Swift.
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>

#include "CLinuxAccess.h"
#include "CLinuxLaunch.h"

// open(2) and openat(2) are variadic, which Swift cannot call.
int clinux_openat(int directory, const char *path, int flags, unsigned mode);
int clinux_fcntl(int fd, int command, long argument);
int clinux_ioctl(int fd, unsigned long request, void *argument);
int clinux_prctl(int option, unsigned long argument);

// renameat2(2) with RENAME_NOREPLACE.
int clinux_rename_noreplace(int olddir, const char *old, int newdir, const char *new_);

// FICLONE: share the extents of `source` with `target` (Btrfs, XFS).
int clinux_clone_file(int target, int source);

// sync_file_range(2): start writing back a range without waiting for it.
int clinux_start_writeback(int fd, int64_t offset, int64_t length);

// mallopt(3): blocks of `threshold` bytes or more are mapped, and so given back when they are freed.
void clinux_map_large_blocks(int threshold);

// Whether a file has extended attributes.
int clinux_has_xattrs(int fd);

// readlinkat(2) into untyped memory; a NULL buffer is an error, not a trap.
int64_t clinux_readlinkat(int directory, const char *path, void *buffer, size_t length);

// Namespaces and mounts.
int clinux_unshare(int flags);
int clinux_pivot_root(const char *new_root, const char *put_old);
extern const int clinux_CLONE_NEWNS, clinux_CLONE_NEWUSER;

// The mount calls of Linux 5.2, by number: older C libraries lack them. fsconfig's commands: 0 flag, 1 string, 6 create.
int clinux_fsopen(const char *type);
int clinux_fsconfig(int context, unsigned command, const char *key, const char *value);
// Mounts what `context` describes, read-only, nosuid and nodev, at `path`.
int clinux_fsmount_at(int context, const char *path);
// Binds the mount at `source` at `path`.
int clinux_bind_mount(const char *source, const char *path);

// The W* status macros.
int clinux_wifexited(int status);
int clinux_wexitstatus(int status);
int clinux_wifsignaled(int status);
int clinux_wtermsig(int status);

// A directory entry's name without copying the whole dirent (d_name is a 256-byte tuple in Swift).
const char *clinux_dirent_name(const struct dirent *entry);
unsigned char clinux_dirent_type(const struct dirent *entry);

// f_type of statfs(2) as 32 unsigned bits, -1 on failure (the struct is not in the Glibc module).
long clinux_filesystem_type(const char *path);

// A macro under _GNU_SOURCE, which the Glibc module does not define.
extern const int clinux_O_PATH;

// pipe2(2) with O_CLOEXEC: ends[0] is read from, ends[1] written to.
int clinux_pipe(int *ends);

// Blocks `signals` and returns a non-blocking descriptor that can be read when one of them is pending. -1 on failure.
int clinux_signal_descriptor(const int *signals, int count);
// The number of the next pending signal; 0 when there is none.
int clinux_next_signal(int descriptor);

// adjtimex(2), reading only: what the kernel knows of the clock's discipline. -1 and errno on failure.
int clinux_clock_state(int *synchronised, long *offset_nanoseconds, long *maximum_error_microseconds);
#endif
