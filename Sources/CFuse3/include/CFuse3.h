#ifndef DFS_CFUSE3_H
#define DFS_CFUSE3_H
// libfuse's low-level API. _FILE_OFFSET_BITS is left alone: defining it here makes clang's view of
// `stat` differ from the Glibc module's.
#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

// fuse_session_loop_mt is a versioned macro, which Swift cannot import.
int cfuse3_session_loop_mt(struct fuse_session *session, unsigned max_threads, unsigned max_idle_threads);
#endif
