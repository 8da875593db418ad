#ifndef DFS_CLINUX_ACCESS_H
#define DFS_CLINUX_ACCESS_H
// fanotify(7), whose constants are macros and whose newer ones Debian 12's headers lack.
#include <stdint.h>
#include <sys/fanotify.h>

// A group that is told of opens after the fact, with no bound on its queue or marks; reads do not block. Needs CAP_SYS_ADMIN.
int clinux_fanotify_open(void);
// Asks for the opens of files through the mount at `path`; with `writes`, for their ends after they could be written to.
int clinux_fanotify_watch_mount(int group, const char *path, int writes);
// Asks for no more of these of the file `fd`. The mark goes when the kernel drops the inode (Linux 6.0).
int clinux_fanotify_ignore(int group, int fd, int writes);

// Asks for nothing any more.
void clinux_fanotify_forget(int group);

// Opens `path` (O_PATH) with `root` for the root directory, also for links in it. openat2(2) with RESOLVE_IN_ROOT.
int clinux_open_in_root(int root, const char *path);
#endif
