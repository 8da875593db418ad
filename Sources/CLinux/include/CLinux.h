#ifndef DFS_CLINUX_H
#define DFS_CLINUX_H
// System calls and constants that the Glibc module does not offer to Swift.
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>

// open(2) and openat(2) are variadic, which Swift cannot call.
int clinux_openat(int directory, const char *path, int flags, unsigned mode);
int clinux_fcntl(int fd, int command, long argument);
int clinux_ioctl(int fd, unsigned long request, void *argument);
int clinux_prctl(int option, unsigned long argument);

// renameat2(2) with RENAME_NOREPLACE.
int clinux_rename_noreplace(int olddir, const char *old, int newdir, const char *new_);

// FICLONE: share the extents of `source` with `target` (Btrfs, XFS).
int clinux_clone_file(int target, int source);

// Namespaces and mounts.
int clinux_unshare(int flags);
int clinux_pivot_root(const char *new_root, const char *put_old);
extern const int clinux_CLONE_NEWNS, clinux_CLONE_NEWUSER;

// The W* status macros.
int clinux_wifexited(int status);
int clinux_wexitstatus(int status);
int clinux_wifsignaled(int status);
int clinux_wtermsig(int status);

// A directory entry's name without copying the whole dirent (d_name is a 256-byte tuple in Swift).
const char *clinux_dirent_name(const struct dirent *entry);
unsigned char clinux_dirent_type(const struct dirent *entry);

// A macro under _GNU_SOURCE, which the Glibc module does not define.
extern const int clinux_O_PATH;
#endif
