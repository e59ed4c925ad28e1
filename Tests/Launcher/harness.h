// A harness of a few lines: CHECK counts, test_group names. main.c prints the count.
#ifndef BL_HARNESS_H
#define BL_HARNESS_H

#include <stdbool.h>
#include <stddef.h>

void test_group(const char *name);
void test_check(bool passed, const char *what, const char *file, int line);
#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)

// A scratch directory of this run, removed at its end; `name` is made in it.
const char *test_scratch(void);
const char *test_path(const char *name);
// What stands in a file, as a string that the next call overwrites.
const char *test_read(const char *path);
void test_write(const char *path, const char *text);

void test_log(void);
void test_plan(void);
void test_paths(void);
void test_write_file(void);
void test_exit_record(void);
void test_rollback(void);
void test_base(void);
void test_copy_tree(void);
void test_programs(void);
void test_safety(void);
void test_launch(void);

#endif
