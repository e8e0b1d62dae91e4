/* Une fausse cuDNN 9, d'après sa documentation : ce que demande engine/gpu/kernels/dnn.py, calculé
   sur le processeur, boucle par boucle. Les demi-flottants, elle les refuse en route, comme la vraie
   peut refuser. `journal` dit ce qu'on lui a demandé, `alive` combien de descriptions vivent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000 };
enum { FLOAT = 0, DOUBLE = 1 };
enum { CONVOLUTION = 0, CROSS_CORRELATION = 1 };
enum { AXES = 3 };

typedef struct { int type, count, lengths[2 + AXES], steps[2 + AXES]; } Array;
typedef struct { int count, pad[AXES], step[AXES], dilation[AXES], mode, type, math; } Settings;

static void *stream;
static char said[1 << 16];
int alive;

const char *journal(void) { return said; }
void forget(void) { said[0] = 0; }

#define HANDLE ((void *)0xD4)

int cudnnCreate(void **handle) { *handle = HANDLE; return OK; }
int cudnnSetStream(void *handle, void *given) { stream = given; return handle == HANDLE ? OK : BAD_PARAM; }
size_t cudnnGetVersion(void) { return 92801; }

static int made(void **place, size_t size) { alive++; *place = calloc(1, size); return OK; }
static int rid(void *place) { alive--; free(place); return OK; }
int cudnnCreateTensorDescriptor(void **d) { return made(d, sizeof(Array)); }
int cudnnCreateFilterDescriptor(void **d) { return made(d, sizeof(Array)); }
int cudnnCreateConvolutionDescriptor(void **d) { return made(d, sizeof(Settings)); }
int cudnnDestroyTensorDescriptor(void *d) { return rid(d); }
int cudnnDestroyFilterDescriptor(void *d) { return rid(d); }
int cudnnDestroyConvolutionDescriptor(void *d) { return rid(d); }

int cudnnSetTensorNdDescriptor(Array *d, int type, int count, const int lengths[], const int steps[]) {
    if (count < 4 || count > 2 + AXES) return BAD_PARAM;
    d->type = type, d->count = count;
    for (int k = 0; k < count; k++) {
        if (lengths[k] < 1 || steps[k] < 1) return BAD_PARAM;
        d->lengths[k] = lengths[k], d->steps[k] = steps[k];
    }
    return OK;
}

int cudnnSetFilterNdDescriptor(Array *d, int type, int format, int count, const int lengths[]) {
    int steps[2 + AXES], step = 1;
    if (format != 0) return BAD_PARAM; /* CUDNN_TENSOR_NCHW */
    for (int k = count - 1; k >= 0; step *= lengths[k--]) steps[k] = step;
    return cudnnSetTensorNdDescriptor(d, type, count, lengths, steps);
}

int cudnnSetConvolutionNdDescriptor(Settings *d, int count, const int pad[], const int step[],
                                    const int dilation[], int mode, int type) {
    if (count < 2 || count > AXES) return BAD_PARAM;
    d->count = count, d->mode = mode, d->type = type, d->math = 0;
    for (int k = 0; k < count; k++) {
        if (pad[k] < 0 || step[k] < 1 || dilation[k] < 1) return BAD_PARAM;
        d->pad[k] = pad[k], d->step[k] = step[k], d->dilation[k] = dilation[k];
    }
    return OK;
}

int cudnnSetConvolutionMathType(Settings *d, int math) { d->math = math; return OK; }

/* -- le calcul ------------------------------------------------------------------------------- */

static double get(const Array *d, const void *x, long k) {
    return d->type == DOUBLE ? ((const double *)x)[k] : ((const float *)x)[k];
}

static void add(const Array *d, void *x, long k, double value) {
    if (d->type == DOUBLE) ((double *)x)[k] += value;
    else ((float *)x)[k] += (float)value;
}

/* Les longueurs vont-elles ensemble ? Celles du résultat suivent des autres. */
static int fits(const Array *x, const Array *w, const Array *y, const Settings *s) {
    if (x->count != w->count || x->count != y->count || x->count != 2 + s->count) return 0;
    if (x->type != w->type || x->type != y->type) return 0;
    if (x->lengths[1] != w->lengths[1] || x->lengths[0] != y->lengths[0]) return 0;
    if (w->lengths[0] != y->lengths[1]) return 0;
    for (int k = 0; k < s->count; k++) {
        int reach = (w->lengths[2 + k] - 1) * s->dilation[k] + 1;
        int places = (x->lengths[2 + k] + 2 * s->pad[k] - reach) / s->step[k] + 1;
        if (places != y->lengths[2 + k]) return 0;
    }
    return 1;
}

/* Chaque triplet (pixel, poids, place) de la convolution, axe par axe ; `to` reçoit le produit des
   deux autres : 0, l'image ; 1, les filtres ; 2, le résultat. */
static void walk(int axis, const Array *const d[3], void *const v[3], const Settings *s, int to, const long at[3]) {
    if (axis == s->count) {
        int a = to == 0, b = to == 2 ? 1 : 2;
        add(d[to], v[to], at[to], get(d[a], v[a], at[a]) * get(d[b], v[b], at[b]));
        return;
    }
    int k = 2 + axis, points = d[1]->lengths[k];
    for (int i = 0; i < d[2]->lengths[k]; i++)
        for (int u = 0; u < points; u++) {
            int h = i * s->step[axis] + u * s->dilation[axis] - s->pad[axis];
            if (h < 0 || h >= d[0]->lengths[k]) continue;
            long seen = s->mode == CONVOLUTION ? points - 1 - u : u;
            long next[3] = {at[0] + (long)h * d[0]->steps[k], at[1] + seen * d[1]->steps[k],
                            at[2] + (long)i * d[2]->steps[k]};
            walk(axis + 1, d, v, s, to, next);
        }
}

static size_t room_of(const Array *d) { return 16 + 4 * (size_t)d->lengths[0]; }

static int asked(const Array *x, const Array *w, const Array *y, const Settings *s, int algorithm,
                 const Array *result, void *handle, size_t *room) {
    *room = room_of(result);
    return handle == HANDLE && algorithm == 1 && fits(x, w, y, s) ? OK : BAD_PARAM;
}

static int run(const char *name, const Array *const d[3], void *const v[3], const Settings *s, int to,
               void *handle, const void *one, const void *zero, int algorithm, void *room, size_t size) {
    char *end = said + strlen(said);
    if (handle != HANDLE || algorithm != 1 || !fits(d[0], d[1], d[2], s)) return BAD_PARAM;
    double alpha = s->type == DOUBLE ? *(const double *)one : *(const float *)one;
    double beta = s->type == DOUBLE ? *(const double *)zero : *(const float *)zero;
    if (alpha != 1 || beta != 0 || size != room_of(d[to])) return BAD_PARAM;
    sprintf(end, "%s type=%d somme=%d cœurs=%d flux=%lx\n", name, d[0]->type, s->type, s->math, (long)stream);
    if (d[0]->type > DOUBLE) return NOT_SUPPORTED;
    memset(room, 0xAB, size);
    long last = 0;
    for (int k = 0; k < d[to]->count; k++) last += (long)(d[to]->lengths[k] - 1) * d[to]->steps[k];
    memset(v[to], 0, (last + 1) * (d[to]->type == DOUBLE ? 8 : 4));
    for (int b = 0; b < d[0]->lengths[0]; b++)
        for (int o = 0; o < d[1]->lengths[0]; o++)
            for (int c = 0; c < d[0]->lengths[1]; c++) {
                long at[3] = {(long)b * d[0]->steps[0] + (long)c * d[0]->steps[1],
                              (long)o * d[1]->steps[0] + (long)c * d[1]->steps[1],
                              (long)b * d[2]->steps[0] + (long)o * d[2]->steps[1]};
                walk(0, d, v, s, to, at);
            }
    return OK;
}

int cudnnGetConvolutionForwardWorkspaceSize(void *handle, Array *x, Array *w, Settings *s, Array *y,
                                            int algorithm, size_t *room) {
    return asked(x, w, y, s, algorithm, y, handle, room);
}
int cudnnGetConvolutionBackwardDataWorkspaceSize(void *handle, Array *w, Array *dy, Settings *s, Array *dx,
                                                 int algorithm, size_t *room) {
    return asked(dx, w, dy, s, algorithm, dx, handle, room);
}
int cudnnGetConvolutionBackwardFilterWorkspaceSize(void *handle, Array *x, Array *dy, Settings *s, Array *dw,
                                                   int algorithm, size_t *room) {
    return asked(x, dw, dy, s, algorithm, dw, handle, room);
}

int cudnnConvolutionForward(void *handle, const void *one, Array *dx, void *x, Array *dw, void *w, Settings *s,
                            int algorithm, void *room, size_t size, const void *zero, Array *dy, void *y) {
    return run("Forward", (const Array *[]){dx, dw, dy}, (void *[]){x, w, y}, s, 2, handle, one, zero,
               algorithm, room, size);
}
int cudnnConvolutionBackwardData(void *handle, const void *one, Array *dw, void *w, Array *dy, void *y,
                                 Settings *s, int algorithm, void *room, size_t size, const void *zero,
                                 Array *dx, void *x) {
    return run("BackwardData", (const Array *[]){dx, dw, dy}, (void *[]){x, w, y}, s, 0, handle, one, zero,
               algorithm, room, size);
}
int cudnnConvolutionBackwardFilter(void *handle, const void *one, Array *dx, void *x, Array *dy, void *y,
                                   Settings *s, int algorithm, void *room, size_t size, const void *zero,
                                   Array *dw, void *w) {
    return run("BackwardFilter", (const Array *[]){dx, dw, dy}, (void *[]){x, w, y}, s, 1, handle, one, zero,
               algorithm, room, size);
}
