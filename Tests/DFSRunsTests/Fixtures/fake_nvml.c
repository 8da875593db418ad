// A stand-in for the NVIDIA management library with two devices: the second has MIG enabled with two instances.
// Compiled by the tests; with -DHANG its first function never returns.
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct device { int index, is_instance, instance; };
static struct device devices[2] = {{0, 0, 0}, {1, 0, 0}};
static struct device instances[2] = {{1, 1, 0}, {1, 1, 1}};

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

static int put(char *out, unsigned room, const char *text) {
    if (strlen(text) + 1 > room) return INSUFFICIENT_SIZE;
    strcpy(out, text);
    return SUCCESS;
}

int nvmlInit_v2(void) {
#ifdef HANG
    for (;;) pause();
#endif
    return SUCCESS;
}
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == NOT_SUPPORTED ? "Not Supported" : "Some Error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned room) { return put(out, room, "555.42.02"); }
int nvmlSystemGetNVMLVersion(char *out, unsigned room) { return put(out, room, "12.555.42.02"); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12050; return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = 2; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **out) {
    if (index > 1) return INVALID_ARGUMENT;
    *out = &devices[index];
    return SUCCESS;
}
int nvmlDeviceGetName(struct device *d, char *out, unsigned room) {
    return put(out, room, d->is_instance ? "Fake A100 MIG 1g.5gb" : d->index ? "Fake A100" : "Fake T4");
}
int nvmlDeviceGetUUID(struct device *d, char *out, unsigned room) {
    if (d->is_instance) return put(out, room, d->instance ? "MIG-bbbb" : "MIG-aaaa");
    return put(out, room, d->index ? "GPU-1111" : "GPU-0000");
}
int nvmlDeviceGetSerial(struct device *d, char *out, unsigned room) {
    return d->index ? put(out, room, "1320621") : NOT_SUPPORTED;
}
int nvmlDeviceGetVbiosVersion(struct device *d, char *out, unsigned room) { return put(out, room, ""); }
int nvmlDeviceGetCudaComputeCapability(struct device *d, int *major, int *minor) {
    *major = d->index ? 8 : 7;
    *minor = d->index ? 0 : 5;
    return SUCCESS;
}
struct memory { uint64_t total, free, used; };
int nvmlDeviceGetMemoryInfo(struct device *d, struct memory *out) {
    *out = (struct memory){d->index ? 42949672960 : 16106127360, 1, 1048576};
    return SUCCESS;
}
int nvmlDeviceGetEccMode(struct device *d, unsigned *current, unsigned *pending) {
    if (d->index == 0) return NOT_SUPPORTED;
    *current = 1;
    *pending = 0;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(struct device *d, unsigned *current, unsigned *pending) {
    *current = *pending = d->index;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(struct device *d, unsigned *out) { *out = 7; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, unsigned index, struct device **out) {
    if (index != 0 && index != 3) return NOT_FOUND;
    *out = &instances[index == 3];
    return SUCCESS;
}
struct attributes { unsigned multiprocessors, others[7]; uint64_t mebibytes; };
int nvmlDeviceGetAttributes_v2(struct device *d, struct attributes *out) {
    *out = (struct attributes){.multiprocessors = 14, .mebibytes = 4864};
    return SUCCESS;
}
int nvmlDeviceGetPersistenceMode(struct device *d, unsigned *out) { *out = 1; return SUCCESS; }
int nvmlDeviceGetComputeMode(struct device *d, unsigned *out) { *out = d->index ? 3 : 0; return SUCCESS; }
int nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *out) { *out = 70000; return SUCCESS; }
int nvmlDeviceGetPowerUsage(struct device *d, unsigned *out) { *out = 12345; return SUCCESS; }
int nvmlDeviceGetClockInfo(struct device *d, unsigned kind, unsigned *out) { *out = 300 + kind; return SUCCESS; }
int nvmlDeviceGetMaxClockInfo(struct device *d, unsigned kind, unsigned *out) { *out = 1500 + kind; return SUCCESS; }
int nvmlDeviceGetTemperature(struct device *d, unsigned sensor, unsigned *out) { *out = 41; return SUCCESS; }
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
int nvmlDeviceGetPciInfo_v3(struct device *d, struct pci *out) {
    memset(out, 0, sizeof *out);
    strcpy(out->legacy, "wrong");
    out->domain = out->bus = out->device = out->id = out->subsystem = 0xffffffff;
    strcpy(out->bus_id, d->index ? "00000000:65:00.0" : "00000000:17:00.0");
    return SUCCESS;
}
int nvmlDeviceGetNvLinkState(struct device *d, unsigned link, unsigned *active) {
    if (d->index == 0) return NOT_SUPPORTED;
    if (link > 2) return INVALID_ARGUMENT;
    *active = link != 1;
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v2(struct device *d, unsigned *count, void *list) {
    unsigned room = *count;
    *count = d->index ? 3 : 0;
    return *count > room ? INSUFFICIENT_SIZE : SUCCESS;
}
#ifdef WATCHED
// What is asked for again and again: the first device is sampled by the driver, the second is not; it has one Xid.
struct utilisation { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(struct device *d, struct utilisation *out) {
    *out = (struct utilisation){d->index ? 75 : 10, 5};
    return SUCCESS;
}
struct sample { unsigned long long time; unsigned long long value; };
int nvmlDeviceGetSamples(struct device *d, int kind, unsigned long long seen, int *type, unsigned *count,
                         struct sample *out) {
    static unsigned long long now;
    if (d->index || kind != 1) return NOT_SUPPORTED;
    if (!out) { *count = 120; return SUCCESS; }
    *type = 1;
    *count = 2;
    now += 1000;
    out[0] = (struct sample){now - 500, 20};
    out[1] = (struct sample){now, 61};
    return SUCCESS;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *d, unsigned long long *out) {
    *out = d->index ? 0x44 : 0;
    return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(struct device *d, int kind, int counter, unsigned long long *out) {
    if (!d->index) return NOT_SUPPORTED;
    *out = kind ? 2 : 7;
    return SUCCESS;
}
static int announced;
int nvmlEventSetCreate(void **set) { *set = &announced; return SUCCESS; }
int nvmlDeviceRegisterEvents(struct device *d, unsigned long long kinds, void *set) { return SUCCESS; }
struct event { struct device *device; unsigned long long kind, data; unsigned gpu_instance, compute_instance; };
int nvmlEventSetWait_v2(void *set, struct event *out, unsigned milliseconds) {
    if (announced++) return 10;
    *out = (struct event){&devices[1], 8, 79, 0, 0};
    return SUCCESS;
}
#endif
// Without -DWATCHED nvmlDeviceGetTotalEccErrors is missing, as in a library older than the caller.
