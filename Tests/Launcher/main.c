#include "harness.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned passed, failed;
static char scratch[64];

void test_group(const char *name) { fprintf(stderr, "%s\n", name); }

void test_check(bool ok, const char *what, const char *file, int line)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    fprintf(stderr, "  FAILED %s:%d: %s\n", file, line, what);
}

const char *test_scratch(void) { return scratch; }

const char *test_path(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

const char *test_read(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = 0;
    return text;
}

void test_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(text, file);
        fclose(file);
    }
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *position)
{
    (void)status;
    (void)kind;
    (void)position;
    return remove(path);
}

int main(void)
{
    strcpy(scratch, "/tmp/berth-launcher-test.XXXXXX");
    if (!mkdtemp(scratch))
        return 2;
    test_base();
    test_log();
    test_plan();
    test_paths();
    test_write_file();
    test_exit_record();
    test_rollback();
    test_copy_tree();
    test_programs();
    test_safety();
    test_launch();
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    printf("launcher: %u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
