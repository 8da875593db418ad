// Reads as programs do, measures it, and sums up what it read, so that wrong bytes are noticed.
//
//   reader files  ROOT LIST THREADS [full]   open, read to the end, close: each file of a list of NUL-terminated names
//   reader stat   ROOT LIST THREADS          fstatat each of them
//   reader read   FILE THREADS               1 MiB reads in sequence, each thread a part of the file
//   reader random FILE THREADS SIZE COUNT    COUNT reads of SIZE at random places, the same ones every time
//   reader map    FILE THREADS               maps the file and touches a word of each page
//
// Names are relative to ROOT, opened once. Prints: nanoseconds, files or reads, bytes, checksum. The checksum of `full`
// is of every byte; the others take some of each file or page, which costs nothing that would be measured.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, SMALL = 1 << 17, PAGE = 4096, BATCH = 16 };

struct work {
    void (*body)(struct work *);
    int number;
    uint64_t count, bytes, sum;
    char *buffer;
};

static int root, threads, full;
static char **names, *path;
static uint64_t *salts, name_count, size, reads;
static off_t file_size;
static char *mapped;
static atomic_ulong next_name;
static pthread_barrier_t barrier;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 31)) * 0x9e3779b97f4a7c15u;
    return value ^ (value >> 29);
}

static uint64_t hash(uint64_t sum, const char *bytes, size_t count)
{
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    for (; count > 0; count--) sum = (sum ^ (unsigned char)*bytes++) * 0x100000001b3u;
    return sum;
}

// Fills the buffer unless the file ends before, so that the hash does not depend on how reads were cut.
static ssize_t fill(int file, char *buffer, size_t room)
{
    size_t have = 0;
    while (have < room) {
        ssize_t got = read(file, buffer + have, room - have);
        if (got < 0) return got;
        if (got == 0) break;
        have += got;
    }
    return have;
}

static void one_file(struct work *work, uint64_t index)
{
    int file = openat(root, names[index], O_RDONLY | O_CLOEXEC);
    uint64_t length = 0, sum = 0;
    unsigned char first = 0, last = 0;
    ssize_t got;
    if (file < 0) fail(names[index]);
    while ((got = full ? fill(file, work->buffer, BUFFER) : read(file, work->buffer, SMALL)) > 0) {
        if (length == 0) first = work->buffer[0];
        last = work->buffer[got - 1];
        length += got;
        if (full) sum = hash(sum, work->buffer, got);
    }
    if (got < 0) fail(names[index]);
    close(file);
    work->count++;
    work->bytes += length;
    work->sum += mix(salts[index] ^ (length << 16) ^ (first << 8) ^ last ^ mix(sum));
}

static void one_status(struct work *work, uint64_t index)
{
    struct stat status;
    if (fstatat(root, names[index], &status, AT_SYMLINK_NOFOLLOW) < 0) fail(names[index]);
    work->count++;
    work->sum += mix(salts[index] ^ status.st_size ^ ((uint64_t)status.st_mtime << 20));
}

// Threads take names in small batches, as the workers of a loader do.
static void each_name(struct work *work, void (*one)(struct work *, uint64_t))
{
    uint64_t from;
    while ((from = atomic_fetch_add(&next_name, BATCH)) < name_count)
        for (uint64_t index = from; index < from + BATCH && index < name_count; index++) one(work, index);
}

static void read_files(struct work *work) { each_name(work, one_file); }
static void stat_files(struct work *work) { each_name(work, one_status); }

static void part_of_file(struct work *work, off_t *from, off_t *to)
{
    off_t part = (file_size / threads + BUFFER - 1) / BUFFER * BUFFER;
    *from = part * work->number < file_size ? part * work->number : file_size;
    *to = *from + part < file_size && work->number + 1 < threads ? *from + part : file_size;
}

static void read_sequence(struct work *work)
{
    off_t from, to;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) fail(path);
    part_of_file(work, &from, &to);
    while (from < to) {
        ssize_t got = pread(file, work->buffer, to - from < BUFFER ? to - from : BUFFER, from);
        if (got <= 0) fail(path);
        for (off_t at = (from + PAGE - 1) / PAGE * PAGE; at < from + got; at += PAGE)
            work->sum += mix(at ^ (unsigned char)work->buffer[at - from]);
        from += got;
        work->bytes += got;
        work->count++;
    }
    close(file);
}

static void read_random(struct work *work)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t state = 88172645463325252u + work->number, places = file_size / size;
    if (file < 0) fail(path);
    for (uint64_t turn = work->number; turn < reads; turn += threads) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        off_t at = state % places * size;
        if (pread(file, work->buffer, size, at) != (ssize_t)size) fail(path);
        work->sum += mix(at ^ (unsigned char)work->buffer[0] ^ ((unsigned char)work->buffer[size - 1] << 8));
        work->bytes += size;
        work->count++;
    }
    close(file);
}

static void touch_pages(struct work *work)
{
    off_t from, to;
    part_of_file(work, &from, &to);
    for (off_t at = from; at < to; at += PAGE) {
        work->sum += mix(at ^ (unsigned char)mapped[at]);
        work->bytes += PAGE;
        work->count++;
    }
}

static void *run(void *argument)
{
    struct work *work = argument;
    pthread_barrier_wait(&barrier);
    work->body(work);
    return NULL;
}

static void load(const char *list)
{
    struct stat status;
    int file = open(list, O_RDONLY);
    if (file < 0 || fstat(file, &status) < 0) fail(list);
    char *text = malloc(status.st_size + 1);
    if (!text || fill(file, text, status.st_size) != status.st_size) fail(list);
    for (char *at = text; at < text + status.st_size; at += strlen(at) + 1) name_count++;
    names = calloc(name_count + 1, sizeof *names);
    salts = calloc(name_count + 1, sizeof *salts);
    name_count = 0;
    for (char *at = text; at < text + status.st_size; at += strlen(at) + 1) {
        salts[name_count] = hash(1, at, strlen(at));
        names[name_count++] = at;
    }
    close(file);
}

int main(int count, char **argument)
{
    const char *mode = count > 1 ? argument[1] : "";
    int by_name = !strcmp(mode, "files") || !strcmp(mode, "stat");
    void (*body)(struct work *) = !strcmp(mode, "files") ? read_files : !strcmp(mode, "stat") ? stat_files
        : !strcmp(mode, "read") ? read_sequence : !strcmp(mode, "random") ? read_random
        : !strcmp(mode, "map") ? touch_pages : NULL;
    if (!body || count < (by_name ? 5 : body == read_random ? 6 : 4)) return fputs("usage: see reader.c\n", stderr), 2;
    threads = atoi(argument[by_name ? 4 : 3]);
    if (threads < 1 || threads > 256) return fputs("reader: 1 to 256 threads\n", stderr), 2;
    if (by_name) {
        full = count > 5;
        root = open(argument[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) fail(argument[2]);
        load(argument[3]);
    } else {
        struct stat status;
        path = argument[2];
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || fstat(file, &status) < 0) fail(path);
        file_size = status.st_size;
        if (body == read_random) {
            size = strtoull(argument[4], NULL, 10), reads = strtoull(argument[5], NULL, 10);
            if (size < 1 || size > BUFFER || (off_t)size > file_size) return fputs("reader: a bad size\n", stderr), 2;
        }
        if (body == touch_pages) {
            mapped = mmap(NULL, file_size, PROT_READ, MAP_SHARED, file, 0);
            if (mapped == MAP_FAILED) fail("mmap");
        }
        close(file);
    }
    struct work works[threads];
    pthread_t ids[threads];
    pthread_barrier_init(&barrier, NULL, threads + 1);
    for (int number = 0; number < threads; number++) {
        works[number] = (struct work){.body = body, .number = number, .buffer = malloc(BUFFER)};
        if (!works[number].buffer) fail("malloc");
        memset(works[number].buffer, 1, BUFFER);
        if (pthread_create(&ids[number], NULL, run, &works[number])) fail("pthread_create");
    }
    struct timespec from, to;
    uint64_t done = 0, bytes = 0, sum = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    pthread_barrier_wait(&barrier);
    for (int number = 0; number < threads; number++) {
        pthread_join(ids[number], NULL);
        done += works[number].count, bytes += works[number].bytes, sum += works[number].sum;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld %llu %llu %016llx\n", (to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec - from.tv_nsec,
           (unsigned long long)done, (unsigned long long)bytes, (unsigned long long)sum);
    return 0;
}
