#ifndef DFS_CFUSE3_H
#define DFS_CFUSE3_H
// libfuse's low-level API. _FILE_OFFSET_BITS is left alone: defining it here makes clang's view of
// `stat` differ from the Glibc module's.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <sys/uio.h>

#include <pthread.h>

// fuse_session_loop_mt is a versioned macro, which Swift cannot import.
int cfuse3_session_loop_mt(struct fuse_session *session, unsigned max_threads, unsigned max_idle_threads);

// Ends a loop from another thread: marks the session as done and wakes the thread that runs the loop, which sleeps
// in sem_wait(3), by a real-time signal whose handler does nothing. To be repeated until the loop has ended.
// cfuse3_prepare_wake installs that handler and must have been called before.
void cfuse3_prepare_wake(void);
void cfuse3_session_wake(struct fuse_session *session, pthread_t loop);

// libfuse formats its messages with a va_list, which Swift cannot take.
void cfuse3_set_log(void (*log)(const char *message));

// ioctl(2) is variadic, which Swift cannot call.
int cfuse3_ioctl(int descriptor, unsigned long request, void *argument);

// Receives the descriptor that fusermount3 sends over its socket; -1 when there is none.
int cfuse3_receive_descriptor(int socket);
#endif
