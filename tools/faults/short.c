// Preloaded: calls that read or write do less than they were asked to, or are interrupted first, as POSIX allows.
// DFS_SHORT is a seed; about one call in three is cut.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static _Atomic unsigned long state;

static unsigned long draw(void) {
    if (!state) {
        const char *seed = getenv("DFS_SHORT");
        state = seed ? strtoul(seed, 0, 10) * 2 + 1 : 1;
    }
    unsigned long x = atomic_fetch_add(&state, 0x9e3779b97f4a7c15ul);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ul;
    x = (x ^ x >> 27) * 0x94d049bb133111ebul;
    return x ^ x >> 31;
}

// Of regular files only: what goes through pipes and sockets has rules of its own.
static int cut(int file, size_t *count) {
    struct stat status;
    unsigned long x = draw();
    if (x % 3 || *count < 2 || fstat(file, &status) || !S_ISREG(status.st_mode)) return 0;
    if (x % 4 == 0) {
        errno = EINTR;
        return 1;
    }
    *count = 1 + (x >> 16) % (*count - 1);
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int file, void *to, size_t count) { return cut(file, &count) ? -1 : REAL(read)(file, to, count); }
ssize_t write(int file, const void *from, size_t count) { return cut(file, &count) ? -1 : REAL(write)(file, from, count); }
ssize_t pread(int file, void *to, size_t count, off_t at) {
    return cut(file, &count) ? -1 : REAL(pread)(file, to, count, at);
}
ssize_t pread64(int file, void *to, size_t count, off64_t at) {
    return cut(file, &count) ? -1 : REAL(pread64)(file, to, count, at);
}
