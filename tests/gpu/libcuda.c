/* A simulated libcuda: the driver API's symbols over this machine's memory, for tests. No GPU, no CUDA.
 *
 * It has one GPU for each UUID of CUDA_VISIBLE_DEVICES. What is wrong with which is said by SIMULATED_CUDA_FAULTS:
 * lines of `UUID FAULT`. Statuses are those of cuda.h.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_PTX = 218, ILLEGAL_ADDRESS = 700, UNKNOWN = 999 };

static char fault[32];

static const char *name_of(int status) {
    switch (status) {
    case OUT_OF_MEMORY: return "CUDA_ERROR_OUT_OF_MEMORY";
    case NO_DEVICE: return "CUDA_ERROR_NO_DEVICE";
    case INVALID_PTX: return "CUDA_ERROR_INVALID_PTX";
    case ILLEGAL_ADDRESS: return "CUDA_ERROR_ILLEGAL_ADDRESS";
    case UNKNOWN: return "CUDA_ERROR_UNKNOWN";
    default: return NULL;
    }
}

int cuGetErrorName(int status, const char **text) { *text = name_of(status); return OK; }

int cuInit(unsigned flags) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES"), *faults = getenv("SIMULATED_CUDA_FAULTS");
    const char *found = visible && faults ? strstr(faults, visible) : NULL;
    if (!visible || flags) return NO_DEVICE;
    if (found) sscanf(found + strlen(visible), " %31s", fault);
    if (!strcmp(fault, "unknown")) return UNKNOWN;
    if (!strcmp(fault, "crash")) { fprintf(stderr, "simulated: the driver crashes\n"); abort(); }
    if (!strcmp(fault, "hang")) for (;;) pause();
    if (!strcmp(fault, "noise")) for (int line = 0; line < 200000; line++) { puts("noise"); fputs("more noise\n", stderr); }
    return OK;
}

int cuDriverGetVersion(int *version) { *version = 12040; return OK; }
int cuDeviceGetCount(int *count) { *count = strcmp(fault, "invisible") ? 1 : 0; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return OK; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "Simulated GPU %d", device); return OK; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &fault; return device; }
int cuCtxSetCurrent(void *context) { return context == &fault ? OK : UNKNOWN; }

int cuMemAlloc_v2(uint64_t *memory, size_t size) {
    if (!strcmp(fault, "full")) return OUT_OF_MEMORY;
    *memory = (uint64_t)(uintptr_t)malloc(size);
    return OK;
}
int cuMemFree_v2(uint64_t memory) { free((void *)(uintptr_t)memory); return OK; }
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) { memcpy((void *)(uintptr_t)to, from, size); return OK; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { memcpy(to, (void *)(uintptr_t)from, size); return OK; }

int cuMemsetD32_v2(uint64_t to, unsigned value, size_t count) {
    uint32_t *words = (void *)(uintptr_t)to;
    for (size_t at = 0; at < count; at++) words[at] = value;
    if (!strcmp(fault, "memory")) words[count / 3] ^= 1 << 7;
    return OK;
}

int cuModuleLoadData(void **module, const char *ptx) {
    *module = (void *)ptx;
    return strstr(ptx, ".visible .entry multiply(") ? OK : INVALID_PTX;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
    *function = module;
    return strcmp(name, "multiply") ? UNKNOWN : OK;
}

int cuLaunchKernel(void *function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                   unsigned threads_y, unsigned threads_z, unsigned shared, void *stream, void **values, void **more) {
    const float *restrict left = *(float **)values[0], *restrict right = *(float **)values[1];
    float *restrict product = *(float **)values[2];
    unsigned size = *(unsigned *)values[3];
    if (!function || blocks_z * threads_z != 1 || shared || stream || more) return UNKNOWN;
    if (blocks_x * threads_x < size || blocks_y * threads_y < size) return UNKNOWN;
    memset(product, 0, sizeof *product * size * size);
    for (unsigned row = 0; row < size; row++)
        for (unsigned step = 0; step < size; step++)
            for (unsigned column = 0; column < size; column++)
                product[row * size + column] += left[row * size + step] * right[step * size + column];
    if (!strcmp(fault, "wrong")) product[size * size / 2] += 1;
    return OK;
}
int cuCtxSynchronize(void) { return strcmp(fault, "fault") ? OK : ILLEGAL_ADDRESS; }
