/* fuzz_replay: a main() for fuzz targets in ordinary builds. Runs the target over each file of its
 * corpus folder, over the prefixes of short files, and over mutations from a fixed seed. */
#include "base/prng.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1); /* its own allocation: an overrun is seen */
    memcpy(exact, data, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void run_mutations(const uint8_t *data, size_t len, prng_t *rng, int rounds)
{
    uint8_t *copy = malloc(len + 16);
    for (int i = 0; i < rounds; i++) {
        memcpy(copy, data, len);
        size_t n = len;
        for (uint64_t edits = 1 + prng_below(rng, 4); edits--;) {
            switch (prng_below(rng, 4)) {
            case 0:
                if (n)
                    copy[prng_below(rng, n)] ^= (uint8_t)(1u << prng_below(rng, 8));
                break;
            case 1:
                if (n)
                    copy[prng_below(rng, n)] = (uint8_t)prng_next(rng);
                break;
            case 2:
                n = n ? prng_below(rng, n) : 0;
                break;
            default:
                if (n < len + 16)
                    copy[n++] = (uint8_t)prng_next(rng);
            }
        }
        run(copy, n);
    }
    free(copy);
}

int main(int argc, char **argv)
{
    prng_t rng;
    prng_seed(&rng, 1);
    size_t files = 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "no corpus in %s\n", argc > 1 ? argv[1] : "(none named)");
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        FILE *f = fopen(path, "rb");
        if (!f)
            return 1;
        size_t cap = 4 << 20;
        uint8_t *data = malloc(cap);
        size_t len = fread(data, 1, cap, f);
        fclose(f);
        run(data, len);
        for (size_t n = 0; n < len && n < 256; n++)
            run(data, n);
        run_mutations(data, len, &rng, len > 65536 ? 20 : 500);
        free(data);
        files++;
    }
    closedir(dir);
    run_mutations((const uint8_t *)"", 0, &rng, 500);
    printf("%zu corpus files replayed\n", files);
    return files ? 0 : 1;
}
