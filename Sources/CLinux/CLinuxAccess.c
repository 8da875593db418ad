#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

// Of the kernel's ABI (linux/fanotify.h): FAN_MARK_IGNORED_SURV_MODIFY, FAN_MARK_EVICTABLE, FAN_MARK_IGNORE.
enum { survives_writes = 0x40, evictable = 0x200, ignore = 0x400 };

int clinux_fanotify_open(void) {
    return fanotify_init(
        FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
        // O_NONBLOCK: the kernel opens the file for each event, and a FIFO would make it wait. It knows no O_NOCTTY here.
        O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME | O_NONBLOCK);
}

static uint64_t kind(int writes) { return writes ? FAN_CLOSE_WRITE : FAN_OPEN; }

int clinux_fanotify_watch_mount(int group, const char *path, int writes) {
    return fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, kind(writes), AT_FDCWD, path);
}

int clinux_fanotify_ignore(int group, int fd, int writes) {
    return fanotify_mark(group, FAN_MARK_ADD | ignore | survives_writes | evictable, kind(writes), fd, NULL);
}

void clinux_fanotify_forget(int group) {
    fanotify_mark(group, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, AT_FDCWD, NULL);
    fanotify_mark(group, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
}

int clinux_open_in_root(int root, const char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}
