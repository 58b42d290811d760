#include "store/resident.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)64 << 20)
#define PAGE_BYTES 4096

/* A file of which each page begins with its number. */
static uint8_t *map_file(void)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), (off_t)FILE_BYTES), 0);
    for (uint32_t page = 0; page < FILE_BYTES / PAGE_BYTES; page++)
        assert_int_equal(pwrite(fileno(f), &page, sizeof page, (off_t)page * PAGE_BYTES), sizeof page);
    uint8_t *map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fileno(f), 0);
    assert_true(map != MAP_FAILED);
    fclose(f);
    return map;
}

/* Reads pages here and there; gives the most that was resident meanwhile. */
static size_t most_resident(const uint8_t *map, resident_t *r)
{
    size_t most = 0, pages = FILE_BYTES / PAGE_BYTES;
    for (size_t i = 0; i < pages; i++) {
        uint32_t page = (uint32_t)(i * 5003 % pages), found;
        memcpy(&found, map + (size_t)page * PAGE_BYTES, sizeof found);
        assert_int_equal(found, page);
        if (r)
            resident_touch(r);
        if (i % 32 == 0) {
            size_t now = resident_of_files();
            most = now > most ? now : most;
        }
    }
    return most;
}

static void stays_within_its_bound(void **state)
{
    uint8_t *map = map_file();
    resident_t r;
    resident_init(&r, map + FILE_BYTES / 2);
    assert_true(r.from == (char *)map);
    assert_int_equal(r.bytes, FILE_BYTES);
    size_t before = resident_of_files();
    assert_true(before > 0);
    size_t overshoot = (size_t)RESIDENT_CHECK_EVERY << 16;
    assert_in_range(most_resident(map, &r), before, before + RESIDENT_MAX_BYTES + overshoot);
    assert_true(most_resident(map, NULL) > before + FILE_BYTES / 2); /* that is what it is for */
    munmap(map, FILE_BYTES);
}

/* Letting go of pages of such memory would lose them. */
static void leaves_memory_alone(void **state)
{
    resident_t r;
    char *own = xcalloc(1, FILE_BYTES);
    resident_init(&r, own + FILE_BYTES / 2);
    assert_null(r.from);
    for (size_t i = 0; i < 10 * RESIDENT_CHECK_EVERY; i++)
        resident_touch(&r);
    free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_within_its_bound),
        cmocka_unit_test(leaves_memory_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
