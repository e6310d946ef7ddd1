/* guard run: proves that the guard will be there, then becomes the program. */
#define _GNU_SOURCE
#include "command.h"
#include "program.h"

#include "../settings.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char help[] =
    "Usage: guard run [OPTION...] -- COMMAND [ARGUMENT...]\n"
    "\n"
    "Starts COMMAND under the guard. Checks policy, lock and log first, and proves that the guard loads into the\n"
    "program.\n"
    "\n"
    "  --enforce       what is denied fails to load (the default, unless the policy says otherwise)\n"
    "  --audit         what would be denied is recorded, and loads\n"
    "  --policy FILE   a policy that extends the built-in one\n"
    "  --lock FILE     a lock (see guard lock); what differs from it does not load\n"
    "  --log FILE      where records go: a path (%p becomes the process id), stderr, stdout or unix:PATH\n"
    "  --quiet         no lines for people on stderr\n"
    "  -h, --help      show this\n"
    "\n"
    "Exit status: COMMAND's; 125 if the guard cannot work, 126 if COMMAND cannot be executed, 127 if it is not "
    "found.\n";

struct request {
    const char *mode, *policy, *lock, *log;
    bool quiet;
};

/* Reads the options; -1 to go on, else the exit status. */
static int options_read(struct request *request, int argc, char **argv)
{
    enum { OPTION_ENFORCE = 256, OPTION_AUDIT, OPTION_POLICY, OPTION_LOCK, OPTION_LOG, OPTION_QUIET };
    static const struct option options[] = {
        {"enforce", no_argument, NULL, OPTION_ENFORCE},
        {"audit", no_argument, NULL, OPTION_AUDIT},
        {"policy", required_argument, NULL, OPTION_POLICY},
        {"lock", required_argument, NULL, OPTION_LOCK},
        {"log", required_argument, NULL, OPTION_LOG},
        {"quiet", no_argument, NULL, OPTION_QUIET},
        {"help", no_argument, NULL, 'h'},
        {0},
    };

    opterr = 0;
    /* "+": the command's own options are none of ours. */
    for (int option; (option = getopt_long(argc, argv, "+:h", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_ENFORCE:
        case OPTION_AUDIT:
            if (request->mode && strcmp(request->mode, option == OPTION_AUDIT ? "audit" : "enforce") != 0)
                return command_usage(EXIT_OWN_FAILURE, "run", "--enforce and --audit exclude each other");
            request->mode = option == OPTION_AUDIT ? "audit" : "enforce";
            break;
        case OPTION_POLICY:
            request->policy = optarg;
            break;
        case OPTION_LOCK:
            request->lock = optarg;
            break;
        case OPTION_LOG:
            request->log = optarg;
            break;
        case OPTION_QUIET:
            request->quiet = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case ':':
            return command_usage(EXIT_OWN_FAILURE, "run", "%s needs a value", argv[optind - 1]);
        default:
            return command_usage(EXIT_OWN_FAILURE, "run", "there is no option %s", argv[optind - 1]);
        }
    }
    if (optind == argc)
        return command_usage(EXIT_OWN_FAILURE, "run", "no command was given");
    return -1;
}

/* The value of an option, else of the variable; NULL when neither says anything. */
static const char *option_or_variable(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);

    return value && value[0] != '\0' ? value : NULL;
}

/* Does the policy load, and does it agree with the mode? */
static int check_policy(struct request *request)
{
    const char *mode = option_or_variable(request->mode, "GUARD_MODE");

    if (mode && strcmp(mode, "enforce") != 0 && strcmp(mode, "audit") != 0 && strcmp(mode, "off") != 0)
        return command_error(EXIT_OWN_FAILURE, "run", "GUARD_MODE is \"%s\", and not enforce, audit or off", mode);
    request->policy = option_or_variable(request->policy, "GUARD_POLICY");
    struct policy *policy = command_load_policy("run", request->policy);
    if (!policy)
        return EXIT_OWN_FAILURE;
    bool held = policy_locked(policy) && policy_mode(policy) != MODE_AUDIT && mode && strcmp(mode, "enforce") != 0;
    policy_free(policy);
    if (held)
        return command_error(EXIT_OWN_FAILURE, "run", "the site's policy is locked and does not allow the mode \"%s\"",
                             mode);
    return 0;
}

static int check_lock(const char *file)
{
    struct policy_fault fault = {0};
    struct lock *lock = settings_load_lock(file, &fault);

    if (!lock)
        command_print_fault("run", &fault);
    lock_free(lock);
    return lock ? 0 : EXIT_OWN_FAILURE;
}

static int check_log_socket(const char *log, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
        return command_error(EXIT_OWN_FAILURE, "run", "%s: not a path that a socket can have", log);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return command_error(EXIT_OWN_FAILURE, "run", "%s: %s", log, strerror(errno));
    close(fd);
    return 0;
}

/* Can records be written? With %p in its name only the folder of the log can be tried. */
static int check_log(const char *log)
{
    if (strcmp(log, "stderr") == 0 || strcmp(log, "stdout") == 0)
        return 0;
    if (strncmp(log, "unix:", 5) == 0)
        return check_log_socket(log, log + 5);
    if (strstr(log, "%p")) {
        char *folder = command_copy(log), *slash = strrchr(folder, '/');
        if (slash)
            slash[slash == folder] = '\0';
        bool good = (slash && strstr(folder, "%p")) || access(slash ? folder : ".", W_OK | X_OK) == 0;
        int error = errno;
        free(folder);
        return good ? 0 : command_error(EXIT_OWN_FAILURE, "run", "%s: %s", log, strerror(error));
    }
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return command_error(EXIT_OWN_FAILURE, "run", "%s: the log cannot be written: %s", log, strerror(errno));
    close(fd);
    return 0;
}

/* libguard.so beside this program (in the build folder), or where `make install` puts it. NULL, said on stderr. */
static char *find_library(void)
{
    static const char *const places[] = {"libguard.so", "../lib/guard/libguard.so"};
    char self[PATH_MAX], path[PATH_MAX + 32], real[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length <= 0) {
        command_error(EXIT_OWN_FAILURE, "run", "/proc/self/exe: %s", strerror(errno));
        return NULL;
    }
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        snprintf(path, sizeof(path), "%s/%s", self, places[i]);
        if (access(path, R_OK) < 0 || !realpath(path, real))
            continue;
        if (!strpbrk(real, " :"))
            return command_copy(real);
        command_error(EXIT_OWN_FAILURE, "run", "%s: LD_PRELOAD cannot hold a path with a space or a colon", real);
        return NULL;
    }
    command_error(EXIT_OWN_FAILURE, "run", "libguard.so is neither in %s nor in %s/../lib/guard", self, self);
    return NULL;
}

/* LD_PRELOAD for the program: what the user had there, then the guard, once. The sanitizers' libraries insist on being
 * the first. */
static char *preload_value(const char *library)
{
    const char *old = getenv("LD_PRELOAD");
    char *value = command_memory(strlen(library) + (old ? strlen(old) : 0) + 2);

    for (const char *at = old ? old : ""; *at != '\0';) {
        size_t length = strcspn(at, " :");
        if (length > 0 && !(length == strlen(library) && memcmp(at, library, length) == 0))
            strcat(strncat(value, at, length), ":");
        at += length;
        at += *at != '\0';
    }
    return strcat(value, library);
}

/* A path has to mean the same after the program changed its folder. */
static void set_path(const char *variable, const char *value)
{
    bool word = strcmp(value, "stderr") == 0 || strcmp(value, "stdout") == 0;
    bool socket = strncmp(value, "unix:", 5) == 0;

    if (strcmp(variable, "GUARD_LOG") == 0 && (word || (socket && value[5] == '/'))) {
        setenv(variable, value, 1);
        return;
    }
    char *absolute = command_absolute(socket ? value + 5 : value);
    char *whole = command_memory(strlen(absolute) + 6);
    strcat(strcpy(whole, socket ? "unix:" : ""), absolute);
    setenv(variable, whole, 1);
    free(absolute);
    free(whole);
}

int command_run(int argc, char **argv)
{
    struct request request = {0};
    struct program program;

    int status = options_read(&request, argc, argv);
    if (status >= 0)
        return status;
    status = check_policy(&request);
    request.log = option_or_variable(request.log, "GUARD_LOG");
    request.lock = option_or_variable(request.lock, "GUARD_LOCK");
    if (status == 0 && request.lock)
        status = check_lock(request.lock);
    if (status == 0 && request.log)
        status = check_log(request.log);
    if (status == 0)
        status = program_find(argv[optind], &program);
    if (status == 0)
        status = program_check(&program);
    if (status != 0)
        return status;
    char *library = find_library();
    if (!library)
        return EXIT_OWN_FAILURE;
    char *preload = preload_value(library);
    status = program_canary(&program, library, preload);
    if (status != 0)
        return status;

    setenv("LD_PRELOAD", preload, 1);
    if (request.mode)
        setenv("GUARD_MODE", request.mode, 1);
    if (request.policy)
        set_path("GUARD_POLICY", request.policy);
    if (request.lock)
        set_path("GUARD_LOCK", request.lock);
    if (request.log)
        set_path("GUARD_LOG", request.log);
    if (request.quiet)
        setenv("GUARD_QUIET", "1", 1);
    execvp(argv[optind], argv + optind);
    return command_error(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "run", "%s: %s", argv[optind],
                         strerror(errno));
}
