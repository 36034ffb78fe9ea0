/* cli_install.c - what `make install` makes of an option table: a man page (`--help man`) and
 * completion for bash (`--help bash`). */
#include <ctype.h>
#include <string.h>

#include "lathe/runtime.h"
#include "tools/cli.h"

/* --- man page -------------------------------------------------------------------------------- */

/* Text for roff: '-' is a hyphen there, and a line that begins with '.' or '\'' a request. */
static void print_roff(FILE *out, const char *text) {
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        at_start = *text == '\n';
    }
}

static void print_roff_line(FILE *out, const char *request, const char *text) {
    fputs(request, out);
    print_roff(out, text);
    fputc('\n', out);
}

static void print_man_option(FILE *out, const CliOption *option) {
    const char *value = option->argument ? option->argument : option->choices;
    fputs(".TP\n\\fB", out);
    if (option->alias) {
        print_roff(out, option->alias);
        fputs("\\fR, \\fB", out);
    }
    print_roff(out, option->name);
    fputs("\\fR", out);
    if (option->kind != CLI_FLAG) {
        fputs(option->kind == CLI_OPTIONAL ? " [\\fI" : " \\fI", out);
        print_roff(out, value);
        fputs(option->kind == CLI_OPTIONAL ? "\\fR]" : "\\fR", out);
    }
    fputc('\n', out);
    print_roff_line(out, "", option->help);
}

static void print_upper(FILE *out, const char *text) {
    for (; *text; text++)
        fputc(toupper((unsigned char)*text), out);
}

static void print_man_help(const Cli *cli) {
    FILE *out = cli->out;
    fputs(".SS Help\n", out);
    print_man_option(out, &(CliOption){.name = "--help",
                                       .alias = "-h",
                                       .kind = CLI_FLAG,
                                       .help = "the options that are used most"});
    print_man_option(out,
                     &(CliOption){.name = "--help-all", .kind = CLI_FLAG, .help = "every option"});
    for (size_t i = 0; i < cli->tool->topic_count; i++)
        print_man_option(out, &(CliOption){.name = "--help",
                                           .kind = CLI_STRING,
                                           .argument = cli->tool->topics[i].name,
                                           .help = cli->tool->topics[i].help});
    print_man_option(out,
                     &(CliOption){.name = "--version", .kind = CLI_FLAG, .help = "the version"});
    print_man_option(
        out, &(CliOption){.name = "@FILE", .kind = CLI_FLAG, .help = "more options, from FILE"});
}

/* "compiles a model": what whatis(1) shows, up to the first mark. */
static const char *one_line_summary(const Cli *cli) {
    size_t length = strcspn(cli->tool->summary, ".(,\n");
    while (length && cli->tool->summary[length - 1] == ' ')
        length--;
    char *text = lt_arena_strndup(cli->arena, cli->tool->summary, length);
    *text = (char)tolower((unsigned char)*text);
    return text;
}

void lt_cli_man(const Cli *cli) {
    const CliTool *tool = cli->tool;
    FILE *out = cli->out;
    fputs(".TH ", out);
    print_upper(out, tool->name);
    fprintf(out, " 1 \"\" \"lathe %s\" \"lathe\"\n.nh\n.ad l\n.SH NAME\n", LATHE_VERSION);
    print_roff(out, tool->name);
    fputs(" \\- ", out);
    print_roff_line(out, "", one_line_summary(cli));
    print_roff_line(out, ".SH SYNOPSIS\n.B ", tool->name);
    print_roff_line(out, "", tool->synopsis);
    print_roff_line(out, ".SH DESCRIPTION\n", tool->summary);
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < tool->option_count; i++) {
        if (tool->options[i].kind == CLI_GROUP)
            print_roff_line(out, ".SS ", tool->options[i].help);
        else
            print_man_option(out, &tool->options[i]);
    }
    print_man_help(cli);
    if (tool->footer) {
        fputs(".SH NOTES\n.nf\n", out);
        print_roff_line(out, "", tool->footer);
        fputs(".fi\n", out);
    }
    fputs(".SH SEE ALSO\n\\fBlathec\\fR(1), \\fBlathe\\-run\\fR(1), \\fBlathe\\-dump\\fR(1)\n",
          out);
}

/* --- completion ------------------------------------------------------------------------------ */

/* Letters and '_' of the tool's name: the name of the shell function. */
static const char *function_name(const Cli *cli) {
    char *name = lt_arena_printf(cli->arena, "_%s", cli->tool->name);
    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? *at : '_';
    return name;
}

static void print_pattern(FILE *out, const CliOption *option) {
    fprintf(out, "    %s", option->name);
    if (option->alias)
        fprintf(out, "|%s", option->alias);
    fputs(")", out);
}

/* Values that are known; those of all other options are names of files or free. */
static void print_values(FILE *out, const CliOption *option) {
    if (option->kind == CLI_GROUP || option->kind == CLI_FLAG)
        return;
    print_pattern(out, option);
    if (option->kind == CLI_CHOICE) {
        fputs(" words=\"", out);
        for (const char *at = option->choices; *at; at++)
            fputc(*at == '|' ? ' ' : *at, out);
        fputs("\" ;;\n", out);
    } else if (option->words) {
        fprintf(out, " words=$(%s 2>/dev/null | cut -d' ' -f1) ;;\n", option->words);
    } else {
        fputs(" return ;;\n", out);
    }
}

static bool takes_value(const CliOption *option) {
    return option->kind != CLI_GROUP && option->kind != CLI_FLAG;
}

void lt_cli_bash(const Cli *cli) {
    const CliTool *tool = cli->tool;
    FILE *out = cli->out;
    bool any = false;
    fprintf(out, "# Completion of %s for bash, made from its table of options.\n", tool->name);
    fprintf(
        out,
        "%s() {\n"
        "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
        "    COMPREPLY=()\n",
        function_name(cli));
    for (size_t i = 0; i < tool->option_count; i++)
        any |= takes_value(&tool->options[i]);
    fputs(any ? "    case $before in\n" : "", out);
    for (size_t i = 0; i < tool->option_count; i++)
        print_values(out, &tool->options[i]);
    fputs(any ? "    esac\n" : "", out);
    fputs("    if [[ -z $words && $current == -* ]]; then\n        words=\"", out);
    for (size_t i = 0; i < tool->option_count; i++)
        if (tool->options[i].kind != CLI_GROUP)
            fprintf(out, "%s ", tool->options[i].name);
    fprintf(
        out,
        "--help --help-all --version\"\n"
        "    fi\n"
        "    [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
        "}\n"
        "complete -o default -F %s %s\n",
        function_name(cli), tool->name);
}
