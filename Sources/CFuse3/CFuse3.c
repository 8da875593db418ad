#define _GNU_SOURCE
#include "CFuse3.h"

#include <errno.h>
#include <fuse3/fuse_log.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void do_nothing(int signal) { (void)signal; }

void cfuse3_prepare_wake(void) {
    struct sigaction action = {.sa_handler = do_nothing};
    sigaction(SIGRTMIN + 7, &action, NULL);
}

int cfuse3_session_loop_mt(struct fuse_session *session, unsigned max_threads, unsigned max_idle_threads) {
    // The caller's thread may have inherited a mask that blocks everything.
    sigset_t wake, previous;
    sigemptyset(&wake);
    sigaddset(&wake, SIGRTMIN + 7);
    pthread_sigmask(SIG_UNBLOCK, &wake, &previous);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (config == NULL) return -1;
    fuse_loop_cfg_set_clone_fd(config, 0);
    fuse_loop_cfg_set_max_threads(config, max_threads);
    fuse_loop_cfg_set_idle_threads(config, max_idle_threads);
    int result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    return result;
}

void cfuse3_session_wake(struct fuse_session *session, pthread_t loop) {
    fuse_session_exit(session);
    pthread_kill(loop, SIGRTMIN + 7);
}

static void (*log_target)(const char *message);

static void log_message(enum fuse_log_level level, const char *format, va_list arguments) {
    char text[512];
    (void)level;
    vsnprintf(text, sizeof text, format, arguments);
    if (log_target != NULL) log_target(text);
}

void cfuse3_set_log(void (*log)(const char *message)) {
    log_target = log;
    fuse_set_log_func(log_message);
}

int cfuse3_ioctl(int descriptor, unsigned long request, void *argument) { return ioctl(descriptor, request, argument); }

int cfuse3_receive_descriptor(int socket) {
    char byte;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t received;
    do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received <= 0) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return -1;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}
