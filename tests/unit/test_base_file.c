/* test_base_file.c - mapping and writing files: missing, wrong kinds, failed writes and renames
 * first, and after each failure that the old file is whole and no other is left. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "tests/test.h"

static char folder[64];

static const char *in_folder(const char *name) {
    static char path[4][128];
    static int next;
    char *place = path[next++ % 4];
    snprintf(place, sizeof path[0], "%s/%s", folder, name);
    return place;
}

static int count_files(void) {
    char command[128];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    int count = -1;
    ck_assert(pipe != NULL && fscanf(pipe, "%d", &count) == 1);
    pclose(pipe);
    return count;
}

START_TEST(file_map_says_why_not) {
    MappedFile file;
    char error[64];
    lt_test_mkdtemp(folder);
    ck_assert(!lt_file_map(&file, in_folder("absent"), error, sizeof error));
    ck_assert_str_eq(error, "No such file or directory");
    ck_assert(!lt_file_map(&file, folder, error, sizeof error));
    ck_assert_str_eq(error, "is a directory");
    ck_assert(!lt_file_map(&file, "/dev/null", error, sizeof error));
    ck_assert_str_eq(error, "is not a regular file");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0); /* would wait for a writer */
    ck_assert(!lt_file_map(&file, in_folder("pipe"), error, sizeof error));
    ck_assert_str_eq(error, "is not a regular file");
    ck_assert_uint_eq(file.size, 0);
    ck_assert(!lt_file_map(&file, folder, error, 5)); /* a short buffer is cut */
    ck_assert_str_eq(error, "is a");
    lt_file_unmap(&file);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(file_map_reads_whole_and_empty) {
    MappedFile file;
    char error[64], data[10000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    lt_test_mkdtemp(folder);
    lt_test_write_file(in_folder("full"), data, sizeof data);
    lt_test_write_file(in_folder("empty"), "", 0);
    ck_assert(lt_file_map(&file, in_folder("full"), error, sizeof error));
    ck_assert_uint_eq(file.size, sizeof data);
    ck_assert(memcmp(file.data, data, sizeof data) == 0);
    lt_file_unmap(&file);
    lt_file_unmap(&file); /* twice does no harm */
    ck_assert(lt_file_map(&file, in_folder("empty"), error, sizeof error));
    ck_assert_uint_eq(file.size, 0);
    ck_assert_ptr_nonnull(file.data);
    lt_file_unmap(&file);
    lt_test_rmdir(folder);
}
END_TEST

static size_t resident_pages(const void *page, size_t count) {
    size_t resident = 0;
    FILE *file = fopen("/proc/self/pagemap", "rb"); /* 8 bytes a page; bit 63: in memory */
    ck_assert(file);
    ck_assert_int_eq(fseek(file, (long)((uintptr_t)page / 4096 * 8), SEEK_SET), 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t entry;
        ck_assert_uint_eq(fread(&entry, sizeof entry, 1, file), 1);
        resident += entry >> 63;
    }
    fclose(file);
    return resident;
}

/* Whole pages of the file, no others; and they read as before. */
START_TEST(file_forget_drops_pages_that_come_back) {
    enum { PAGES = 64, PAGE = 4096 };
    static char data[PAGES * PAGE];
    MappedFile file;
    char error[64];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i % 251);
    lt_test_mkdtemp(folder);
    lt_test_write_file(in_folder("weights"), data, sizeof data);
    ck_assert(lt_file_map(&file, in_folder("weights"), error, sizeof error));
    ck_assert_mem_eq(file.data, data, sizeof data);
    ck_assert_uint_eq(resident_pages(file.data, PAGES), PAGES);
    lt_file_forget(&file, file.data + 1, 2 * PAGE - 2); /* no whole page */
    lt_file_forget(&file, data, sizeof data);           /* not of this file */
    lt_file_forget(&file, file.data + PAGE, sizeof data);
    ck_assert_mem_eq(data + PAGE, file.data + PAGE, PAGE);
    ck_assert_uint_eq(resident_pages(file.data, PAGES), PAGES);
    lt_file_forget(&file, file.data + PAGE - 1, 3 * PAGE + 2); /* pages 1, 2 and 3 */
    ck_assert_uint_eq(resident_pages(file.data, PAGES), PAGES - 3);
    ck_assert_mem_eq(file.data, data, sizeof data);
    lt_file_unmap(&file);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_open_refuses) {
    OutputFile out;
    lt_test_mkdtemp(folder);
    ck_assert(!lt_output_open(&out, in_folder("no/such/folder")));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert(!lt_output_open(&out, folder));
    ck_assert_int_eq(errno, EISDIR);
    ck_assert(!lt_output_open(&out, ""));
    ck_assert_int_eq(errno, ENOENT);
    lt_test_write_file(in_folder("plain"), "", 0);
    ck_assert(!lt_output_open(&out, in_folder("plain/x")));
    ck_assert_int_eq(errno, ENOTDIR);
    lt_output_discard(&out); /* after a refusal: nothing to do */
    ck_assert_int_eq(count_files(), 1);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_rename_failure_leaves_nothing) {
    OutputFile out;
    lt_test_mkdtemp(folder);
    ck_assert(lt_output_open(&out, in_folder("model.so")));
    lt_output_write(&out, "abc", 3);
    ck_assert_int_eq(mkdir(in_folder("model.so"), 0700), 0);
    ck_assert(!lt_output_commit(&out, 0644));
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_int_eq(count_files(), 1);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_write_error_is_sticky) {
    OutputFile out;
    char block[4096] = {0};
    lt_test_mkdtemp(folder);
    lt_test_write_file(in_folder("model.so"), "old", 3);
    ck_assert(lt_output_open(&out, in_folder("model.so")));
    struct rlimit limit = {.rlim_cur = 6000, .rlim_max = 6000};
    ck_assert_ptr_ne(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 3; i++)
        lt_output_write(&out, block, sizeof block);
    lt_output_pad_to(&out, 100000);
    ck_assert_int_eq(out.error, EFBIG);
    ck_assert_uint_eq(out.offset, 6000);
    ck_assert(!lt_output_commit(&out, 0644));
    ck_assert_int_eq(errno, EFBIG);
    Arena arena;
    lt_arena_init(&arena);
    ck_assert_str_eq(lt_test_read_file(&arena, in_folder("model.so"), NULL), "old");
    lt_arena_free(&arena);
    ck_assert_int_eq(count_files(), 1);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_to_a_full_device_fails) {
    OutputFile out;
    ck_assert(lt_output_open(&out, "/dev/full"));
    lt_output_write(&out, "x", 1);
    ck_assert(!lt_output_commit(&out, 0644));
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert(lt_output_open(&out, "/dev/null")); /* must not be replaced by a file */
    lt_output_write(&out, "x", 1);
    ck_assert(lt_output_commit(&out, 0644));
    struct stat info;
    ck_assert_int_eq(stat("/dev/null", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
}
END_TEST

START_TEST(output_discard_keeps_the_old_file) {
    OutputFile out;
    Arena arena;
    lt_arena_init(&arena);
    lt_test_mkdtemp(folder);
    lt_test_write_file(in_folder("model.so"), "old", 3);
    ck_assert(lt_output_open(&out, in_folder("model.so")));
    lt_output_write(&out, "new", 3);
    ck_assert_str_eq(lt_test_read_file(&arena, in_folder("model.so"), NULL), "old");
    lt_output_discard(&out);
    ck_assert_str_eq(lt_test_read_file(&arena, in_folder("model.so"), NULL), "old");
    ck_assert_int_eq(count_files(), 1);
    lt_arena_free(&arena);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_commit_writes_pads_and_sets_mode) {
    OutputFile out;
    Arena arena;
    size_t size;
    struct stat info;
    lt_arena_init(&arena);
    lt_test_mkdtemp(folder);
    umask(027);
    ck_assert(lt_output_open(&out, in_folder("model.so")));
    lt_output_write(&out, "head", 4);
    lt_output_pad_to(&out, 10000);
    lt_output_pad_to(&out, 10000);
    lt_output_write(&out, "tail", 4);
    ck_assert_uint_eq(out.offset, 10004);
    ck_assert(lt_output_commit(&out, 0755));
    char *data = lt_test_read_file(&arena, in_folder("model.so"), &size);
    ck_assert_uint_eq(size, 10004);
    ck_assert(memcmp(data, "head", 5) == 0 && memcmp(data + 9999, "\0tail", 5) == 0);
    ck_assert_int_eq(stat(in_folder("model.so"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0750);
    ck_assert(lt_output_open(&out, in_folder("model.so")));
    ck_assert(lt_output_commit(&out, 0644)); /* replaced, empty */
    ck_assert_int_eq(stat(in_folder("model.so"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
    ck_assert_uint_eq((uint64_t)info.st_size, 0);
    ck_assert_int_eq(count_files(), 1);
    lt_arena_free(&arena);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_follows_a_link) {
    OutputFile out;
    Arena arena;
    struct stat info;
    lt_arena_init(&arena);
    lt_test_mkdtemp(folder);
    lt_test_write_file(in_folder("real"), "old", 3);
    ck_assert_int_eq(symlink("real", in_folder("link")), 0);
    ck_assert(lt_output_open(&out, in_folder("link")));
    lt_output_write(&out, "new", 3);
    ck_assert(lt_output_commit(&out, 0644));
    ck_assert_str_eq(lt_test_read_file(&arena, in_folder("real"), NULL), "new");
    ck_assert_int_eq(lstat(in_folder("link"), &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    lt_arena_free(&arena);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(output_dash_is_standard_output) {
    OutputFile out;
    Arena arena;
    lt_arena_init(&arena);
    lt_test_mkdtemp(folder);
    int saved = dup(STDOUT_FILENO), file = open(in_folder("out"), O_WRONLY | O_CREAT, 0600);
    dup2(file, STDOUT_FILENO);
    ck_assert(lt_output_open(&out, "-"));
    lt_output_write(&out, "hello", 5);
    bool committed = lt_output_commit(&out, 0644);
    ssize_t after = write(STDOUT_FILENO, "!", 1); /* still open */
    dup2(saved, STDOUT_FILENO);
    ck_assert(committed && after == 1);
    ck_assert_str_eq(lt_test_read_file(&arena, in_folder("out"), NULL), "hello!");
    lt_arena_free(&arena);
    lt_test_rmdir(folder);
}
END_TEST

LT_TEST_MAIN("test_base_file", file_map_says_why_not, file_map_reads_whole_and_empty,
             file_forget_drops_pages_that_come_back, output_open_refuses,
             output_rename_failure_leaves_nothing,
             output_write_error_is_sticky, output_to_a_full_device_fails,
             output_discard_keeps_the_old_file, output_commit_writes_pads_and_sets_mode,
             output_follows_a_link, output_dash_is_standard_output)
