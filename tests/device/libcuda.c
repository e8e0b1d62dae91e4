/* Un faux pilote pour éprouver l'ordre des appels : la mémoire du « GPU » est celle de l'hôte, les
   copies et les remplissages ont lieu, aucun noyau ne tourne. Un flux capturé n'exécute rien : son
   graphe, rejoué, refait les copies. Pendant une capture, attendre l'invalide, et, hors du mode
   relâché, réserver de la mémoire ou charger un module est refusé, comme par le vrai pilote.
   CHAINAGE_CALLS : le fichier où chaque appel s'écrit. CHAINAGE_LIMIT : les octets au-delà
   desquels cuMemAlloc refuse. CHAINAGE_COUNT : les GPU. CHAINAGE_CAPABILITY : leur architecture. */
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
    *value = which == 75 ? number("CHAINAGE_CAPABILITY", 9) : which == 16 ? 4 : 0;  /* architecture, processeurs */
    return 0;
}
Result cuDevicePrimaryCtxRetain(Handle *context, int device) {
    note("cuDevicePrimaryCtxRetain");
    *context = 0xC0 + device;
    return 0;
}
static __thread Handle current;

Result cuCtxSetCurrent(Handle context) {
    note("cuCtxSetCurrent %d", (int)(context - 0xC0));
    current = context;
    return 0;
}
Result cuCtxGetCurrent(Handle *context) { *context = current; return 0; }
Result cuStreamCreate(Handle *stream, unsigned flags) {
    note("cuStreamCreate");
    *stream = 0x57;
    return 0;
}

/* -- la capture : une liste d'actions par graphe ------------------------------------------- */

enum { COPY, FILL, LAUNCH };
typedef struct { int kind; void *target; const void *source; size_t size; unsigned word; } Action;
typedef struct { Action *actions; size_t count; } Graph;
enum { GLOBAL, THREAD_LOCAL, RELAXED };
enum { CAPTURE_REFUSED = 900, CAPTURE_INVALID = 901, NO_CAPTURE = 904 };
static Graph *captured;
static int capture_mode, capture_broken;

static void act(Action action) {
    if (action.kind == COPY) memmove(action.target, action.source, action.size);
    if (action.kind == FILL)
        for (size_t i = 0; i < action.size; i++) ((unsigned *)action.target)[i] = action.word;
}
static Result act_or_record(Action action) {
    if (captured) {
        captured->actions = realloc(captured->actions, (captured->count + 1) * sizeof action);
        captured->actions[captured->count++] = action;
    } else {
        act(action);
    }
    return 0;
}
static int refused_by_capture(void) { return captured && capture_mode != RELAXED; }

Result cuStreamBeginCapture_v2(Handle stream, int mode) {
    note("cuStreamBeginCapture %d", mode);
    captured = calloc(1, sizeof(Graph));
    capture_mode = mode;
    capture_broken = 0;
    return 0;
}
Result cuStreamEndCapture(Handle stream, Handle *graph) {
    if (!captured) return NO_CAPTURE;
    note("cuStreamEndCapture %zu", captured->count);
    *graph = capture_broken ? 0 : (Handle)captured;
    captured = NULL;
    return capture_broken ? CAPTURE_INVALID : 0;
}
Result cuStreamIsCapturing(Handle stream, int *status) {
    *status = captured ? 1 + capture_broken : 0;
    return 0;
}
Result cuGraphInstantiate(Handle *executable, Handle graph, uint64_t flags) {
    note("cuGraphInstantiate");
    *executable = graph; /* l'exécutable et son graphe sont ici la même liste */
    return 0;
}
Result cuGraphInstantiateWithFlags(Handle *executable, Handle graph, uint64_t flags) {
    return cuGraphInstantiate(executable, graph, flags);
}
Result cuGraphLaunch(Handle executable, Handle stream) {
    Graph *graph = (Graph *)executable;
    note("cuGraphLaunch %zu", graph->count);
    for (size_t rank = 0; rank < graph->count; rank++) act(graph->actions[rank]);
    return 0;
}
Result cuGraphGetNodes(Handle graph, Handle *nodes, size_t *count) {
    *count = ((Graph *)graph)->count;
    return 0;
}
Result cuGraphDestroy(Handle graph) { note("cuGraphDestroy"); return 0; }
Result cuGraphExecDestroy(Handle executable) { note("cuGraphExecDestroy"); return 0; }

/* -- attendre -------------------------------------------------------------------------------- */

static Result waited(void) {
    if (!captured) return number("CHAINAGE_SYNC", 0);
    capture_broken = 1;
    return CAPTURE_REFUSED;
}
Result cuStreamSynchronize(Handle stream) { note("cuStreamSynchronize"); return waited(); }
Result cuCtxSynchronize(void) { note("cuCtxSynchronize"); return waited(); }
Result cuEventCreate(Handle *event, unsigned flags) { *event = ++handles; return 0; }
Result cuEventSynchronize(Handle event) { return waited(); }
Result cuStreamWaitEvent(Handle stream, Handle event, unsigned flags) {
    note("cuStreamWaitEvent %d", (int)stream);
    return 0;
}

/* -- la mémoire ------------------------------------------------------------------------------ */

Result cuMemAlloc_v2(Handle *pointer, size_t size) {
    note("cuMemAlloc %zu", size);
    if (refused_by_capture()) return CAPTURE_REFUSED;
    if (!size) return 1; /* CUDA_ERROR_INVALID_VALUE */
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
Result cuMemFreeHost(void *pointer) {
    note("cuMemFreeHost");
    free(pointer);
    return 0;
}
Result cuMemcpyHtoDAsync_v2(Handle target, const void *source, size_t size, Handle stream) {
    note("cuMemcpyHtoDAsync %zu", size);
    return act_or_record((Action){COPY, (void *)target, source, size});
}
Result cuMemcpyDtoHAsync_v2(void *target, Handle source, size_t size, Handle stream) {
    note("cuMemcpyDtoHAsync %zu", size);
    return act_or_record((Action){COPY, target, (void *)source, size});
}
Result cuMemcpyDtoDAsync_v2(Handle target, Handle source, size_t size, Handle stream) {
    note("cuMemcpyDtoDAsync %zu", size);
    return act_or_record((Action){COPY, (void *)target, (void *)source, size});
}
Result cuMemcpyPeerAsync(Handle target, Handle to, Handle source, Handle from, size_t size,
                         Handle stream) {
    note("cuMemcpyPeerAsync %zu de %d vers %d", size, (int)(from - 0xC0), (int)(to - 0xC0));
    return act_or_record((Action){COPY, (void *)target, (void *)source, size});
}
Result cuMemsetD32Async(Handle target, unsigned word, size_t count, Handle stream) {
    note("cuMemsetD32Async %zu", count);
    return act_or_record((Action){FILL, (void *)target, NULL, count, word});
}

/* -- les noyaux ------------------------------------------------------------------------------ */

Result cuModuleLoadData(Handle *module, const void *image) {
    note("cuModuleLoadData");
    if (refused_by_capture()) return CAPTURE_REFUSED;
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
    if (getenv("CHAINAGE_CALLS"))
        note("cuLaunchKernel %u %u n=%u", gx, bx, *(unsigned *)arguments[2]);
    return act_or_record((Action){LAUNCH});
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
