/* Un faux pilote pour éprouver l'ordre des appels : la mémoire du « GPU » est celle de l'hôte, les
   copies ont lieu, aucun noyau ne tourne. CHAINAGE_CALLS : le fichier où chaque appel s'écrit.
   CHAINAGE_LIMIT : les octets au-delà desquels cuMemAlloc refuse. CHAINAGE_COUNT : les GPU. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef uint64_t Handle;
static Handle handles = 0x1000;
static size_t taken;

static void note(const char *format, ...) {
    const char *path = getenv("CHAINAGE_CALLS");
    if (!path) return;
    FILE *file = fopen(path, "a");
    va_list rest;
    va_start(rest, format);
    vfprintf(file, format, rest);
    va_end(rest);
    fputc('\n', file);
    fclose(file);
}

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

Result cuInit(unsigned flags) { note("cuInit"); return number("CHAINAGE_INIT", 0); }
Result cuDriverGetVersion(int *version) { *version = number("CHAINAGE_VERSION", 13000); return 0; }
Result cuDeviceGetCount(int *count) { *count = number("CHAINAGE_COUNT", 1); return 0; }
Result cuDeviceGet(int *device, int rank) {
    *device = rank;
    return rank < number("CHAINAGE_COUNT", 1) ? 0 : 101;
}
Result cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "GPU d'essai");
    return 0;
}
Result cuDeviceGetAttribute(int *value, int which, int device) {
    *value = which == 75 ? 9 : 0;
    return 0;
}
Result cuDevicePrimaryCtxRetain(Handle *context, int device) {
    note("cuDevicePrimaryCtxRetain");
    *context = 0xC0 + device;
    return 0;
}
Result cuCtxSetCurrent(Handle context) { note("cuCtxSetCurrent %d", (int)(context - 0xC0)); return 0; }
Result cuStreamCreate(Handle *stream, unsigned flags) {
    note("cuStreamCreate");
    *stream = 0x57;
    return 0;
}
Result cuStreamSynchronize(Handle stream) {
    note("cuStreamSynchronize");
    return number("CHAINAGE_SYNC", 0);
}
Result cuStreamWaitEvent(Handle stream, Handle event, unsigned flags) {
    note("cuStreamWaitEvent %d", (int)stream);
    return 0;
}
Result cuMemAlloc_v2(Handle *pointer, size_t size) {
    note("cuMemAlloc %zu", size);
    if (taken + size > (size_t)number("CHAINAGE_LIMIT", 1 << 30)) return 2;
    taken += size;
    size_t *zone = aligned_alloc(512, size + 512);
    zone[0] = size;
    *pointer = (Handle)zone + 512;
    return 0;
}
Result cuMemFree_v2(Handle pointer) {
    note("cuMemFree");
    taken -= *(size_t *)(pointer - 512);
    free((void *)(pointer - 512));
    return 0;
}
Result cuMemGetInfo_v2(size_t *free_, size_t *total) {
    *total = number("CHAINAGE_LIMIT", 1 << 30);
    *free_ = *total - taken;
    return 0;
}
Result cuMemAllocHost_v2(void **pointer, size_t size) {
    note("cuMemAllocHost");
    *pointer = malloc(size);
    return 0;
}
Result cuMemcpyHtoDAsync_v2(Handle target, const void *source, size_t size, Handle stream) {
    note("cuMemcpyHtoDAsync %zu", size);
    memcpy((void *)target, source, size);
    return 0;
}
Result cuMemcpyDtoHAsync_v2(void *target, Handle source, size_t size, Handle stream) {
    note("cuMemcpyDtoHAsync %zu", size);
    memcpy(target, (void *)source, size);
    return 0;
}
Result cuModuleLoadData(Handle *module, const void *image) {
    note("cuModuleLoadData");
    *module = ++handles;
    return 0;
}
Result cuModuleGetFunction(Handle *function, Handle module, const char *name) {
    note("cuModuleGetFunction %s", name);
    *function = ++handles;
    return 0;
}
Result cuLaunchKernel(Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                      unsigned by, unsigned bz, unsigned shared, Handle stream, void **arguments,
                      void **extra) {
    note("cuLaunchKernel %u %u n=%u", gx, bx, *(unsigned *)arguments[2]);
    return 0;
}
Result cuEventElapsedTime(float *milliseconds, Handle start, Handle end) {
    *milliseconds = 1;
    return 0;
}
Result cuGetErrorName(int code, const char **name) { *name = "ESSAI"; return 0; }
Result cuGetErrorString(int code, const char **text) { *text = "essai"; return 0; }

static Result other(void) { return 0; }

Result cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *how) {
    Dl_info self;
    dladdr((void *)cuInit, &self);
    void *library = dlopen(self.dli_fname, RTLD_NOW);
    char full[128];
    snprintf(full, sizeof full, "%s_v2", name);
    *found = dlsym(library, full);
    if (!*found) *found = dlsym(library, name);
    if (!*found) *found = (void *)other;
    if (how) *how = 0;
    return 0;
}
Result cuGetProcAddress(const char *name, void **found, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, found, version, flags, NULL);
}
