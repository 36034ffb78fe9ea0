/* test_cli.c - option tables, response files, help, suggestions, tables, JSON. */
#include <math.h>

#include "tests/test.h"
#include "tools/cli.h"

typedef struct Options {
    const char *out, *profile, *more;
    int64_t threads;
    double seconds;
    bool json, level;
    CliList inputs, pairs;
    int kind;
} Options;

static void print_topic(FILE *out) { fputs("all about ops\n", out); }

#define ROW(field, ...) CLI_ROW(Options, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("Output"),
    ROW(out, CLI_STRING, "-o", "OUT", "write to OUT", .alias = "--output"),
    ROW(json, CLI_FLAG, "--json", NULL, "print JSON"),
    ROW(kind, CLI_CHOICE, "--emit", NULL, "what to write", .choices = "so|obj|asm"),
    ROW(profile, CLI_OPTIONAL, "--profile", "FILE.json", "times", .choices = ".json"),
    CLI_HEADING("Running"),
    ROW(threads, CLI_INT, "--threads", "N", "threads\n(a second line)", .min = 1, .max = 64),
    ROW(seconds, CLI_DOUBLE, "--seconds", "S", "for how long"),
    ROW(inputs, CLI_LIST, "--input", "X", "inputs"),
    ROW(pairs, CLI_PAIR, "--dim", "NAME=N", "dims"),
    CLI_HEADING("Expert"),
    ROW(level, CLI_FLAG, "-O2", NULL, "optimize", .advanced = true),
    ROW(more, CLI_WORDS, "--more", "OPTIONS", "other options", .advanced = true,
        .words = "tool --list"),
};
static const CliTopic topics[] = {{"ops", "which ops there are", print_topic}};
static const CliTool tool = {.name = "tool",
                             .synopsis = "[options] FILE",
                             .summary = "Does things.",
                             .options = table,
                             .option_count = sizeof table / sizeof *table,
                             .topics = topics,
                             .topic_count = 1,
                             .footer = "The end."};

static Arena arena;
static Options options;
static Cli cli;
static char *printed, *complained;

/* Parses `line`, split at spaces; returns the code and keeps what was printed. */
static int parse(const char *line) {
    static char *words[64];
    size_t out_size, err_size;
    int count = 0;
    words[count++] = (char *)(uintptr_t) "tool";
    for (char *word = strtok(lt_arena_strdup(&arena, line), " "); word; word = strtok(NULL, " "))
        words[count++] = word;
    options = (Options){.threads = 7};
    cli = (Cli){.tool = &tool, .arena = &arena};
    cli.out = open_memstream(&printed, &out_size);
    cli.err = open_memstream(&complained, &err_size);
    int code = lt_cli_parse(&cli, count, words, &options);
    fclose(cli.out);
    fclose(cli.err);
    return code;
}

static void check_wrong(const char *line, const char *text) {
    ck_assert_msg(parse(line) == 2, "accepted: %s", line);
    ck_assert_msg(strstr(complained, text) != NULL, "%s: no '%s' in: %s", line, text, complained);
    ck_assert_ptr_nonnull(strstr(complained, "Try 'tool --help'."));
    ck_assert_str_eq(printed, "");
}

START_TEST(stores_values) {
    ck_assert_int_eq(parse("-o a.so --json --threads=0x10 --seconds 1.5 --input x --input=y=z "
                           "--dim n=3 --emit asm file -O2 -"),
                     -1);
    ck_assert_str_eq(options.out, "a.so");
    ck_assert(options.json && options.level);
    ck_assert_int_eq(options.threads, 16);
    ck_assert_double_eq(options.seconds, 1.5);
    ck_assert_uint_eq(options.inputs.len, 2);
    ck_assert_str_eq(options.inputs.data[1], "y=z");
    ck_assert_str_eq(options.pairs.data[0], "n=3");
    ck_assert_int_eq(options.kind, 2);
    ck_assert_uint_eq(cli.arguments.len, 2);
    ck_assert_str_eq(cli.arguments.data[1], "-");
    ck_assert_str_eq(printed, "");
    ck_assert_int_eq(parse("-oa.so --output b.so"), -1);
    ck_assert_str_eq(options.out, "b.so");
    ck_assert_int_eq(options.threads, 7);
    ck_assert_ptr_null(options.profile);
    ck_assert_int_eq(parse("-- --json @x"), -1);
    ck_assert(!options.json);
    ck_assert_uint_eq(cli.arguments.len, 2);
    ck_assert_str_eq(cli.arguments.data[1], "@x");
}
END_TEST

START_TEST(takes_optional_values) {
    static const struct {
        const char *line, *value;
        size_t arguments;
    } cases[] = {{"--profile", "", 0},
                 {"--profile t.json", "t.json", 0},
                 {"--profile=t", "t", 0},
                 {"--profile model.so", "", 1},
                 {"--profile --json", "", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(parse(cases[i].line), -1);
        ck_assert_str_eq(options.profile, cases[i].value);
        ck_assert_uint_eq(cli.arguments.len, cases[i].arguments);
    }
}
END_TEST

START_TEST(explains_wrong_use) {
    check_wrong("--thread 3", "unknown option '--thread'; did you mean '--threads'?");
    check_wrong("--josn", "did you mean '--json'?");
    check_wrong("--zzzzzzzz=3", "unknown option '--zzzzzzzz'\n");
    check_wrong("-x", "unknown option '-x'");
    check_wrong("--threads 0", "--threads: 0 is not in 1..64");
    check_wrong("--threads 3x", "'3x' is not a whole number");
    check_wrong("--threads 99999999999999999999", "is not a whole number");
    check_wrong("--threads", "--threads needs a value: N");
    check_wrong("--threads --json", "--threads needs a value: N");
    check_wrong("--seconds -1", "is not a number of 0 or more");
    check_wrong("--seconds nan", "is not a number of 0 or more");
    check_wrong("--json=1", "--json takes no value");
    check_wrong("--emit exe", "'exe' is none of so|obj|asm");
    check_wrong("--emit", "--emit needs a value: so|obj|asm");
    check_wrong("--emit so|obj", "is none of");
    check_wrong("--dim 3", "expected NAME=N, found '3'");
    check_wrong("--dim =3", "expected NAME=N, found '=3'");
}
END_TEST

START_TEST(reads_response_files) {
    char folder[64], path[128], loop[128], line[300];
    static const char text[] = "--json\n --input 'a b' \"c\\\"d\"\n-o \"\" e\\ f ''";
    lt_test_mkdtemp(folder);
    snprintf(path, sizeof path, "%s/options", folder);
    snprintf(loop, sizeof loop, "%s/loop", folder);
    lt_test_write_file(path, text, sizeof text - 1);
    snprintf(line, sizeof line, "first @%s last", path);
    ck_assert_int_eq(parse(line), -1);
    ck_assert(options.json);
    ck_assert_str_eq(options.inputs.data[0], "a b");
    ck_assert_str_eq(options.out, "");
    ck_assert_uint_eq(cli.arguments.len, 5);
    static const char *const expected[] = {"first", "c\"d", "e f", "", "last"};
    for (size_t i = 0; i < 5; i++)
        ck_assert_str_eq(cli.arguments.data[i], expected[i]);
    snprintf(line, sizeof line, "x @%s y", loop);
    lt_test_write_file(loop, line, strlen(line));
    check_wrong(line, "nested more than 8 deep");
    ck_assert_int_eq(parse("@/nonexistent/file"), 74);
    ck_assert_ptr_nonnull(strstr(complained, "@/nonexistent/file: No such file or directory"));
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(prints_help) {
    static const char expected[] = "Usage: tool [options] FILE\n"
                                   "Does things.\n"
                                   "\nOutput:\n"
                                   "  --output, -o OUT       write to OUT\n"
                                   "  --json                 print JSON\n"
                                   "  --emit so|obj|asm      what to write\n"
                                   "  --profile [FILE.json]  times\n"
                                   "\nRunning:\n"
                                   "  --threads N            threads\n"
                                   "                         (a second line)\n"
                                   "  --seconds S            for how long\n"
                                   "  --input X              inputs\n"
                                   "  --dim NAME=N           dims\n"
                                   "\nHelp:\n"
                                   "  -h, --help             this text\n"
                                   "  --help-all             every option\n"
                                   "  --help ops             which ops there are\n"
                                   "  --version              the version\n"
                                   "  @FILE                  more options, from FILE\n"
                                   "\nThe end.\n";
    ck_assert_int_eq(parse("--json --help"), 0);
    ck_assert_str_eq(printed, expected);
    ck_assert_int_eq(parse("-h"), 0);
    ck_assert_str_eq(printed, expected);
    ck_assert_int_eq(parse("--help-all"), 0);
    ck_assert_ptr_nonnull(strstr(printed, "\nExpert:\n  -O2 "));
    ck_assert_int_eq(parse("--help ops"), 0);
    ck_assert_str_eq(printed, "all about ops\n");
    ck_assert_int_eq(parse("--version"), 0);
    ck_assert_ptr_nonnull(strstr(printed, "tool (lathe) "));
    ck_assert_str_eq(complained, "");
}
END_TEST

START_TEST(reads_numbers_and_ranges) {
    int64_t lo, hi;
    const char *name, *value;
    ck_assert(lt_cli_int("4k", &lo) && lo == 4096);
    ck_assert(lt_cli_int("-3", &lo) && lo == -3);
    ck_assert(lt_cli_int("1G", &lo) && lo == 1 << 30);
    ck_assert(!lt_cli_int("9000000000G", &lo));
    ck_assert(!lt_cli_int("", &lo) && !lt_cli_int(" 3", &lo) && !lt_cli_int("3kk", &lo));
    ck_assert(lt_cli_range("1..512", &lo, &hi) && lo == 1 && hi == 512);
    ck_assert(lt_cli_range("8", &lo, &hi) && lo == 8 && hi == 8);
    ck_assert(!lt_cli_range("5..4", &lo, &hi) && !lt_cli_range("1..", &lo, &hi));
    ck_assert(!lt_cli_range("..4", &lo, &hi) && !lt_cli_range("1..2..3", &lo, &hi));
    lt_cli_split(&arena, "a=b=c", &name, &value);
    ck_assert_str_eq(name, "a");
    ck_assert_str_eq(value, "b=c");
    lt_cli_split(&arena, "abc", &name, &value);
    ck_assert_ptr_null(name);
    ck_assert_str_eq(value, "abc");
    ck_assert_int_eq(lt_cli_exit_code(0), 0);
    ck_assert_int_eq(lt_cli_exit_code(8), 2);
    ck_assert_int_eq(lt_cli_exit_code(7), 6);
    ck_assert_int_eq(lt_cli_exit_code(-5), 70);
}
END_TEST

static const char *json_text(const char *text) {
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    lt_json_string(out, text);
    fclose(out);
    return printed;
}

START_TEST(writes_json) {
    size_t size;
    ck_assert_str_eq(json_text("a\"b\\c\n\x01/"), "\"a\\\"b\\\\c\\u000a\\u0001/\"");
    ck_assert_str_eq(json_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
                     "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    ck_assert_str_eq(json_text("\xff|\xc0\x80|\xed\xa0\x80|\xe2\x82"),
                     "\"\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\"");
    FILE *out = open_memstream(&printed, &size);
    lt_json_double(out, 0.1);
    fputc(' ', out);
    lt_json_double(out, INFINITY);
    fclose(out);
    ck_assert_str_eq(printed, "0.1 null");
}
END_TEST

START_TEST(prints_tables) {
    TextTable text;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    lt_table_init(&text, &arena, "lrl", "name\tcount\tnote");
    lt_table_row(&text, "%s\t%d\t%s",
                 "\xc3\xa4"
                 "b",
                 5, "x");
    lt_table_row(&text, "longer name\t12345678");
    lt_table_print(&text, out);
    fclose(out);
    ck_assert_str_eq(printed, "name            count  note\n"
                              "\xc3\xa4"
                              "b                  5  x\n"
                              "longer name  12345678  \n");
    ck_assert_str_eq(lt_text_bytes(&arena, 999), "999 B");
    ck_assert_str_eq(lt_text_bytes(&arena, 12345), "12.3 kB");
    ck_assert_str_eq(lt_text_bytes(&arena, 102400000), "102 MB");
    ck_assert_str_eq(lt_text_seconds(&arena, 0.0000125), "12.5 us");
    ck_assert_str_eq(lt_text_seconds(&arena, 0.0125), "12.500 ms");
    ck_assert_str_eq(lt_text_seconds(&arena, 2), "2.000 s");
}
END_TEST

START_TEST(takes_words_that_look_like_options) {
    ck_assert_int_eq(parse("--more -O2 x"), -1);
    ck_assert_str_eq(options.more, "-O2");
    ck_assert(!options.level);
    ck_assert_int_eq(parse("--more"), 2);
    CliList words = {0};
    lt_cli_words(&arena, " -O2  --dim 'a b'=\\\"3 ", &words);
    ck_assert_uint_eq(words.len, 3);
    ck_assert_str_eq(words.data[0], "-O2");
    ck_assert_str_eq(words.data[2], "a b=\"3");
}
END_TEST

START_TEST(writes_a_man_page) {
    ck_assert_int_eq(parse("--help man"), 0);
    ck_assert_ptr_nonnull(strstr(printed, ".TH TOOL 1"));
    ck_assert_ptr_nonnull(strstr(printed, "tool \\- does things\n"));
    ck_assert_ptr_nonnull(strstr(printed, "\\fB\\-\\-output\\fR, \\fB\\-o\\fR \\fIOUT\\fR\n"));
    ck_assert_ptr_nonnull(strstr(printed, ".SS Expert\n"));
}
END_TEST

START_TEST(writes_completion) {
    ck_assert_int_eq(parse("--help bash"), 0);
    ck_assert_ptr_nonnull(strstr(printed, "--emit) words=\"so obj asm\" ;;"));
    ck_assert_ptr_nonnull(strstr(printed, "-o|--output) return ;;"));
    ck_assert_ptr_nonnull(strstr(printed, "--more) words=$(tool --list 2>/dev/null | cut"));
    ck_assert_ptr_nonnull(strstr(printed, "complete -o default -F _tool tool\n"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        stores_values,        takes_optional_values, explains_wrong_use,
        reads_response_files, prints_help,           reads_numbers_and_ranges,
        writes_json,          prints_tables,         takes_words_that_look_like_options,
        writes_a_man_page,    writes_completion};
    lt_arena_init(&arena);
    int code = lt_test_run("test_cli", tests, sizeof tests / sizeof *tests);
    lt_arena_free(&arena);
    return code;
}
