/* workers.c - a process for each case, a few at a time.
 *
 * A case that crashes takes only itself along; one that hangs is ended by its own alarm clock.
 * Outcomes are in memory that all share, so that what a process wrote before it died is kept. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/conformance/conformance.h"

enum { MEMORY_LIMIT_GB = 16, MAX_JOBS = 64, WORDS = 160 };

typedef struct Worker {
    pid_t pid; /* 0: idle */
    Case *at;
    FILE *words; /* what it prints: the sentence before a crash */
} Worker;

/* Never returns: in the child. */
static void work(Worker *worker, const Conformance *c) {
    struct rlimit memory = {(rlim_t)MEMORY_LIMIT_GB << 30, (rlim_t)MEMORY_LIMIT_GB << 30};
    struct rlimit core = {0, 0};
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CORE, &core);
    dup2(fileno(worker->words), STDOUT_FILENO);
    dup2(fileno(worker->words), STDERR_FILENO);
    alarm((unsigned)c->seconds);
    lt_case_run(c, worker->at);
    _exit(0);
}

static bool start(Worker *worker, const Conformance *c, Case *at) {
    *worker = (Worker){.at = at, .words = tmpfile()};
    fflush(NULL);
    worker->pid = worker->words ? fork() : -1;
    if (worker->pid == 0)
        work(worker, c);
    if (worker->pid > 0)
        return true;
    fprintf(stderr, "conformance: error: no process can be started: %s\n", strerror(errno));
    return false;
}

/* The last line that the process printed: an assertion, or the sanitizer's. */
static void last_words(const Worker *worker, char words[WORDS]) {
    char line[WORDS];
    words[0] = 0;
    rewind(worker->words);
    while (fgets(line, sizeof line, worker->words)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0])
            memcpy(words, line, sizeof line);
    }
}

static void finish(Worker *worker, int status, int seconds) {
    Outcome *outcome = worker->at->outcome;
    size_t size = sizeof outcome->reason;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        outcome->verdict = VERDICT_TIME;
        snprintf(outcome->reason, size, "still running after %d s", seconds);
    } else if (WIFSIGNALED(status)) {
        char words[WORDS];
        outcome->verdict = VERDICT_CRASHED;
        last_words(worker, words);
        snprintf(outcome->reason, size, "%s%s%s", strsignal(WTERMSIG(status)), *words ? ": " : "",
                 words);
    } else if (WEXITSTATUS(status) != 0 || outcome->verdict == VERDICT_NOT_RUN) {
        outcome->verdict = VERDICT_CRASHED;
        snprintf(outcome->reason, size, "its process ended with code %d", WEXITSTATUS(status));
    }
    char artifact[64];
    snprintf(artifact, sizeof artifact, ARTIFACT_PATH, (long)worker->pid);
    unlink(artifact);
    fclose(worker->words);
    worker->pid = 0;
}

/* Waits for any of them. */
static bool wait_one(Worker *workers, const Conformance *c) {
    int status;
    pid_t pid;
    do
        pid = waitpid(-1, &status, 0);
    while (pid < 0 && errno == EINTR);
    for (int i = 0; pid > 0 && i < c->jobs; i++)
        if (workers[i].pid == pid)
            finish(&workers[i], status, c->seconds);
    return pid > 0;
}

static Worker *idle(Worker *workers, int count) {
    for (int i = 0; i < count; i++)
        if (!workers[i].pid)
            return &workers[i];
    return NULL;
}

static bool share_outcomes(Conformance *c) {
    Outcome *outcomes = mmap(NULL, c->cases.len * sizeof *outcomes, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; outcomes != MAP_FAILED && i < c->cases.len; i++)
        c->cases.data[i].outcome = &outcomes[i];
    return outcomes != MAP_FAILED;
}

bool lt_cases_run(Conformance *c) {
    Worker workers[MAX_JOBS] = {0};
    if (!share_outcomes(c) || (mkdir(WORK_FOLDER, 0777) != 0 && errno != EEXIST)) {
        fprintf(stderr, "conformance: error: %s: %s\n", WORK_FOLDER, strerror(errno));
        return false;
    }
    bool ok = true;
    for (size_t next = 0; next < c->cases.len && ok;) {
        Worker *worker = idle(workers, c->jobs);
        if (worker)
            ok = start(worker, c, &c->cases.data[next++]);
        else
            ok = wait_one(workers, c);
    }
    while (wait_one(workers, c))
        ;
    return ok;
}
