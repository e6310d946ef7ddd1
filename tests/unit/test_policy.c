/* policy_judge: the built-in policy on known names, and each thing that a rule can ask. */
#include "../../analyzer/limits.h"
#include "../../policy/policy.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static struct policy *load_two(const char *site, const char *user)
{
    struct policy_text texts[2];
    struct policy_fault fault;
    size_t count = 0;
    if (site != NULL)
        texts[count++] = (struct policy_text){.name = "site.json", .text = site, .length = strlen(site), .site = true};
    if (user != NULL)
        texts[count++] = (struct policy_text){.name = "user.json", .text = user, .length = strlen(user)};
    struct policy *policy = policy_load(texts, count, &fault);
    if (policy == NULL) {
        printf("# %s:%u:%u: %s\n", fault.name, fault.line, fault.column, fault.message);
        exit(2);
    }
    return policy;
}

#define RULES(text) "{\"version\": 1, \"rules\": [" text "]}"

static struct judgement judge(const struct policy *policy, struct subject subject, struct effect effect)
{
    struct judgement judgement;
    subject.effect = &effect;
    policy_judge(policy, &subject, &judgement);
    return judgement;
}

static enum decision decide(const struct policy *policy, enum moment moment, enum effect_kind kind, const char *name)
{
    struct effect effect = {.kind = kind, .name = name, .argument_known = true, .format = "pickle"};
    return judge(policy, (struct subject){.moment = moment}, effect).decision;
}

static void test_gadgets(const struct policy *policy)
{
    static const char *const names[] = {
        "os.system", "posix.system", "nt.system", "os:environ.update", "subprocess.Popen", "builtins.eval",
        "__builtin__.exec", "builtins.__import__", "builtins.open", "builtins.setattr", "builtins.map",
        "importlib.import_module", "pkgutil.resolve_name", "pydoc.locate", "runpy.run_path", "pip.main",
        "pip._internal.cli.main.main", "socket.create_connection", "sys:modules.get", "urllib.request.urlopen",
        "shutil.rmtree", "pickle.loads", "_pickle.Unpickler", "marshal.loads", "types.CodeType", "types.FunctionType",
        "cloudpickle.cloudpickle._make_function", "dill._dill._create_code", "operator.attrgetter",
        "_operator.methodcaller", "itertools.starmap", "torch.hub.load", "torch.load", "torch.jit.load", "torch.save",
        "torch.serialization.load", "joblib.load", "numpy.load", "pandas.read_pickle",
        "torch._C:_VariableFunctionsClass.from_file", "transformers:AutoModel.from_pretrained",
        "anything.at:All.from_pretrained", "torch.nn", "torch.no_grad", "dill.load",
        "asyncio.unix_events:_UnixSubprocessTransport._start", "ctypes.CDLL", "threading.Thread", "atexit.register",
        "webbrowser.open", "pathlib:Path.write_text", "uuid._popen", "a.b:c.__init__.__globals__",
        "logging.FileHandler", "numpy.f2py.crackfortran._eval_length", "multiprocessing.util.spawnv_passfds",
    };
    static const char *const shown[] = {"rest", "load", "live"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int moment = MOMENT_REST; moment <= MOMENT_LIVE; moment++) {
            bool denied = true;
            for (int kind = EFFECT_IMPORT; kind <= EFFECT_CALL; kind++) {
                denied = decide(policy, (enum moment)moment, (enum effect_kind)kind, names[i]) == DECISION_DENY;
                if (!denied)
                    break;
            }
            unit_ok(denied, "%s is denied at %s", names[i], shown[moment]);
        }
    }
    struct effect exec = {.kind = EFFECT_CALL, .name = "posix.system"},
                  load = {.kind = EFFECT_CALL, .name = "torch.load"};
    struct judgement attack = judge(policy, (struct subject){.moment = MOMENT_LOAD}, exec);
    struct judgement edge = judge(policy, (struct subject){.moment = MOMENT_LOAD}, load);
    unit_ok(attack.attack && !attack.edge && strcmp(attack.rule, "exec-call") == 0 &&
                strcmp(attack.severity, "critical") == 0,
            "posix.system is an attack");
    unit_ok(edge.edge && !edge.attack && strcmp(edge.rule, "hidden-dependency") == 0,
            "torch.load is an edge and no attack");
}

/* What a loader leads to is a fact of the built-in policy, whatever anybody's rule makes of the call. */
static void test_edges(void)
{
    const char *allow = RULES("{\"effect\": [\"import\", \"call\"], \"match\": [\"torch.load\", \"torch.add\"], "
                              "\"then\": \"allow\", \"why\": \"ours\"}");
    for (unsigned site = 0; site < 2; site++) {
        struct policy *policy = site != 0 ? load_two(allow, NULL) : load_two(NULL, allow);
        struct effect load = {.kind = EFFECT_CALL, .name = "torch.load"},
                      add = {.kind = EFFECT_CALL, .name = "torch.add"},
                      named = {.kind = EFFECT_IMPORT, .name = "torch.load"};
        struct subject subject = {.moment = MOMENT_LOAD};
        struct judgement allowed = judge(policy, subject, load);
        unit_ok(allowed.decision == DECISION_ALLOW && allowed.edge,
                "a loader that a rule allows leads to another model");
        unit_ok(!judge(policy, subject, add).edge && !judge(policy, subject, named).edge, "nothing else does");
        policy_free(policy);
    }
}

static void test_implied(void)
{
    struct policy *called =
        load_two(NULL, RULES("{\"effect\": \"call\", \"match\": [\"torch.load\"], \"then\": \"allow\"}"));
    struct policy *created =
        load_two(NULL, RULES("{\"effect\": \"create\", \"match\": [\"torch.load\"], \"then\": \"allow\"}"));
    struct policy *with =
        load_two(NULL, RULES("{\"effect\": \"call\", \"match\": [\"torch.load\"], \"args\": [\"x.pt\"], "
                             "\"then\": \"allow\"}"));
    unit_ok(decide(called, MOMENT_LIVE, EFFECT_IMPORT, "torch.load") == DECISION_ALLOW &&
                decide(called, MOMENT_LOAD, EFFECT_CREATE, "torch.load") == DECISION_ALLOW,
            "what may be called may appear and be created");
    unit_ok(decide(created, MOMENT_LIVE, EFFECT_IMPORT, "torch.load") == DECISION_ALLOW &&
                decide(created, MOMENT_LOAD, EFFECT_CALL, "torch.load") == DECISION_DENY,
            "what may be created may appear, and not be called");
    unit_ok(decide(with, MOMENT_LIVE, EFFECT_IMPORT, "torch.load") == DECISION_ALLOW &&
                decide(with, MOMENT_LOAD, EFFECT_CALL, "torch.load") == DECISION_DENY,
            "what may be called with some arguments may appear, and not be called with others");
    policy_free(called);
    policy_free(created);
    policy_free(with);
}

static void test_benign(const struct policy *policy)
{
    static const char *const called[] = {
        "torch._utils._rebuild_tensor_v2", "collections.OrderedDict", "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar", "numpy.dtype", "datetime.datetime", "decimal.Decimal", "pathlib.PosixPath",
        "copy_reg._reconstructor", "builtins.ValueError", "exceptions.KeyError", "subprocess.CalledProcessError",
        "os.stat_result", "torch.Size", "transformers.trainer_utils.IntervalStrategy", "__torch__.a.b.Net",
    };
    static const char *const held[] = {"numpy.log1p", "torch.nn.functional.relu",
                                       "sklearn.metrics._classification.f1_score"};
    for (size_t i = 0; i < sizeof called / sizeof called[0]; i++) {
        bool fine = true;
        for (int moment = MOMENT_REST; moment <= MOMENT_LIVE; moment++)
            fine = fine && decide(policy, (enum moment)moment, EFFECT_IMPORT, called[i]) == DECISION_ALLOW &&
                   decide(policy, (enum moment)moment, EFFECT_CALL, called[i]) == DECISION_ALLOW;
        unit_ok(fine, "%s may be called", called[i]);
    }
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        unit_ok(decide(policy, MOMENT_REST, EFFECT_IMPORT, held[i]) == DECISION_ALLOW &&
                    decide(policy, MOMENT_LIVE, EFFECT_IMPORT, held[i]) == DECISION_ALLOW &&
                    decide(policy, MOMENT_LOAD, EFFECT_CALL, held[i]) == DECISION_DENY,
                "%s may be held, not called", held[i]);
    unit_ok(decide(policy, MOMENT_LIVE, EFFECT_CREATE, "matplotlib.figure.Figure") == DECISION_ALLOW &&
                decide(policy, MOMENT_LIVE, EFFECT_IMPORT, "matplotlib.figure:Figure.savefig") == DECISION_DENY &&
                decide(policy, MOMENT_LIVE, EFFECT_IMPORT, "matplotlib.pyplot.savefig") == DECISION_DENY,
            "figures load, and nothing of theirs that writes");
}

static void test_aliases(const struct policy *policy)
{
    struct effect effect = {.kind = EFFECT_CALL, .name = "mypkg.f", .alias = "builtins.eval"};
    unit_ok(judge(policy, (struct subject){.moment = MOMENT_LOAD}, effect).attack, "the mapped name counts");
    effect = (struct effect){.kind = EFFECT_CALL, .name = "builtins.eval", .alias = "collections.OrderedDict"};
    unit_ok(judge(policy, (struct subject){.moment = MOMENT_LOAD}, effect).attack, "the written name counts");
    effect = (struct effect){.kind = EFFECT_CALL, .name = "collections.OrderedDict", .alias = "mypkg.f"};
    unit_ok(judge(policy, (struct subject){.moment = MOMENT_LOAD}, effect).unlisted,
            "what has to be settled stays unlisted");
}

static void test_unlisted(const struct policy *policy)
{
    static const struct {
        enum home home;
        enum object object;
        enum decision decision;
    } rows[] = {
        {HOME_APP, OBJECT_CLASS, DECISION_ALLOW},          {HOME_APP, OBJECT_FUNCTION, DECISION_ALLOW},
        {HOME_APP, OBJECT_MODULE, DECISION_DENY},          {HOME_INSTALLED, OBJECT_CLASS, DECISION_ALLOW},
        {HOME_INSTALLED, OBJECT_VALUE_CLASS, DECISION_ALLOW}, {HOME_STDLIB, OBJECT_VALUE_CLASS, DECISION_ALLOW},
        {HOME_STDLIB, OBJECT_CLASS, DECISION_DENY},        {HOME_STDLIB, OBJECT_FUNCTION, DECISION_DENY},
        {HOME_INSTALLED, OBJECT_FUNCTION, DECISION_DENY},  {HOME_INSTALLED, OBJECT_MODULE, DECISION_DENY},
        {HOME_INSTALLED, OBJECT_OTHER, DECISION_DENY},     {HOME_MODEL, OBJECT_CLASS, DECISION_DENY},
        {HOME_MODEL, OBJECT_VALUE_CLASS, DECISION_DENY},   {HOME_TEMPORARY, OBJECT_CLASS, DECISION_DENY},
        {HOME_UNKNOWN, OBJECT_UNKNOWN, DECISION_DENY},
    };
    struct effect effect = {.kind = EFFECT_IMPORT, .name = "mypkg.Thing"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct subject subject = {.moment = MOMENT_LIVE, .home = rows[i].home, .object = rows[i].object};
        unit_ok(judge(policy, subject, effect).decision == rows[i].decision, "an unlisted %s of home %s: %s",
                object_name(rows[i].object), home_name(rows[i].home), decision_name(rows[i].decision));
    }
    unit_ok(decide(policy, MOMENT_REST, EFFECT_IMPORT, "mypkg.Thing") == DECISION_ALLOW,
            "an unlisted name may appear at rest");
    unit_ok(decide(policy, MOMENT_REST, EFFECT_CREATE, "mypkg.Thing") == DECISION_WARN, "creating one at rest warns");
    unit_ok(decide(policy, MOMENT_REST, EFFECT_CALL, "mypkg.Thing") == DECISION_DENY, "calling one at rest is denied");
    effect.kind = EFFECT_CALL;
    struct judgement loading = judge(policy, (struct subject){.moment = MOMENT_LOAD}, effect);
    unit_ok(loading.decision == DECISION_ALLOW && loading.unlisted && strncmp(loading.rule, "unlisted-", 9) == 0,
            "at load it is left to be settled");
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_CALL, "?") == DECISION_DENY, "what cannot be told is not called");
    unit_ok(decide(policy, MOMENT_REST, EFFECT_CALL, "__main__.Colour") == DECISION_WARN,
            "a class of __main__ warns at rest");
    unit_ok(decide(policy, MOMENT_REST, EFFECT_CALL, "__main__.run") == DECISION_DENY,
            "a function of __main__ is denied at rest");
}

static struct effect call(const char *name, const struct argument *arguments, size_t count)
{
    return (struct effect){
        .kind = EFFECT_CALL, .name = name, .arguments = arguments, .argument_count = count, .argument_known = true};
}

static enum decision at_load(const struct policy *policy, struct effect effect)
{
    return judge(policy, (struct subject){.moment = MOMENT_LOAD}, effect).decision;
}

static void test_arguments(const struct policy *policy)
{
    const struct argument latin[] = {{ARGUMENT_STRING, "a"}, {ARGUMENT_STRING, "latin1"}};
    const struct argument other[] = {{ARGUMENT_STRING, "a"}, {ARGUMENT_STRING, "zip"}};
    const struct argument unsure[] = {{ARGUMENT_STRING, "a"}, {ARGUMENT_UNKNOWN, NULL}};
    const struct argument three[] = {{ARGUMENT_STRING, "a"}, {ARGUMENT_STRING, "latin1"}, {ARGUMENT_STRING, "x"}};
    unit_ok(at_load(policy, call("_codecs.encode", latin, 2)) == DECISION_ALLOW, "codecs.encode to latin1 is allowed");
    unit_ok(at_load(policy, call("_codecs.encode", other, 2)) == DECISION_DENY, "with another codec it is denied");
    unit_ok(at_load(policy, call("_codecs.encode", unsure, 2)) == DECISION_DENY, "with an unknown codec it is denied");
    unit_ok(at_load(policy, call("_codecs.encode", three, 3)) == DECISION_DENY, "with one argument more it is denied");
    unit_ok(at_load(policy, call("_codecs.encode", latin, 1)) == DECISION_DENY, "with one argument less it is denied");
    struct effect unknown = call("_codecs.encode", latin, 2);
    unknown.argument_known = false;
    unit_ok(at_load(policy, unknown) == DECISION_DENY, "with arguments that are not known it is denied");

    const struct argument method[] = {{ARGUMENT_NAME, "own.Colour"}, {ARGUMENT_STRING, "RED"}};
    const struct argument dunder[] = {{ARGUMENT_NAME, "own.Colour"}, {ARGUMENT_STRING, "__init__"}};
    unit_ok(at_load(policy, call("builtins.getattr", method, 2)) == DECISION_ALLOW,
            "getattr of a plain name is allowed");
    unit_ok(at_load(policy, call("builtins.getattr", dunder, 2)) == DECISION_DENY, "getattr of __init__ is denied");
    struct judgement judged =
        judge(policy, (struct subject){.moment = MOMENT_LOAD}, call("builtins.getattr", method, 2));
    unit_ok(!judged.whatever_arguments, "and not settled for other arguments");
    judged = judge(policy, (struct subject){.moment = MOMENT_LOAD}, call("numpy.dtype", method, 2));
    unit_ok(judged.whatever_arguments, "numpy.dtype is settled for all arguments");

    char letters[LIMIT_ARGUMENT_TEXT];
    memset(letters, 'a', sizeof letters - 1);
    letters[sizeof letters - 1] = '\0';
    const struct argument cut[] = {{ARGUMENT_STRING, letters}};
    struct policy *user =
        load_two(NULL, RULES("{\"effect\": \"call\", \"match\": [\"m.f\"], \"args\": [\"a*\"], \"then\": \"allow\"},"
                             "{\"effect\": \"call\", \"match\": [\"m.g\"], \"args\": [\"b*\"], \"then\": \"deny\"}"));
    struct effect effect = call("m.f", cut, 1);
    unit_ok(judge(user, (struct subject){.moment = MOMENT_REST}, effect).decision == DECISION_DENY,
            "a cut text fits no permission");
    effect.name = "m.g";
    unit_ok(at_load(user, effect) == DECISION_DENY, "a cut text fits a denial");
    policy_free(user);
}

static void test_holders(const struct policy *policy)
{
    static const struct {
        const char *via, *name;
        unsigned position;
        enum decision decision;
    } rows[] = {
        {"collections.defaultdict", "builtins.list", 0, DECISION_ALLOW},
        {"collections.defaultdict", "numpy.log1p", 0, DECISION_ALLOW},
        {"collections.defaultdict", "os.system", 0, DECISION_DENY},
        {"functools.partial", "numpy.clip", 0, DECISION_ALLOW},
        {"functools.partial", "mypkg.f", 0, DECISION_DENY},
        {"copy_reg._reconstructor", "mypkg.Thing", 0, DECISION_ALLOW},
        {"copy_reg._reconstructor", "builtins.object", 1, DECISION_ALLOW},
        {"copy_reg._reconstructor", "mypkg.Thing", 1, DECISION_DENY},
        {"builtins.getattr", "mypkg.Thing", 0, DECISION_ALLOW},
        {"mypkg.Thing", "numpy.log1p", 0, DECISION_WARN}, /* as its creation is */
        {"mypkg.Thing", "os.system", 0, DECISION_DENY},
        {"mypkg.Thing", "torch.storage._load_from_bytes", 0, DECISION_DENY},
        {"mypkg.Thing", "torch.float32", 0, DECISION_ALLOW},
        {"torch._tensor._rebuild_from_type_v2", "torch._utils._rebuild_tensor_v2", 0, DECISION_ALLOW},
        {"torch._tensor._rebuild_from_type_v2", "numpy.log1p", 0, DECISION_DENY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct effect effect = {
            .kind = EFFECT_CALL, .name = rows[i].name, .via = rows[i].via, .position = rows[i].position};
        struct judgement judged = judge(policy, (struct subject){.moment = MOMENT_REST}, effect);
        unit_ok(judged.decision == rows[i].decision, "%s at argument %u of %s: %s", rows[i].name, rows[i].position,
                rows[i].via, decision_name(rows[i].decision));
    }
    struct effect handed = {.kind = EFFECT_CALL, .name = "numpy.log1p", .via = "mypkg.f"};
    unit_ok(at_load(policy, handed) == DECISION_ALLOW, "what only computes, in the hands of what is settled live");
    handed.name = "nltk.stem.snowball:EnglishStemmer.stem";
    unit_ok(at_load(policy, handed) == DECISION_ALLOW, "a stemmer's method likewise");
    handed.name = "torchvision.datasets.folder.default_loader";
    unit_ok(at_load(policy, handed) == DECISION_DENY, "what opens files, in the hands of what is settled live");
    handed.name = "torch.storage._load_from_bytes";
    unit_ok(at_load(policy, handed) == DECISION_DENY, "what unpickles, in the hands of what is settled live");
    handed.name = "numpy.log1p", handed.via = "functools.lru_cache";
    unit_ok(at_load(policy, handed) == DECISION_DENY, "in the hands of what is denied");
}

static bool give_hash(void *context, char hex[65])
{
    ++*(unsigned *)context;
    memset(hex, 'a', 64);
    hex[64] = '\0';
    return true;
}

static void test_circumstances(void)
{
    struct policy *policy = load_two(
        NULL, RULES("{\"effect\": \"code\", \"match\": [\"python\"], \"model\": [\"hf:org/*\"], \"revision\": \"abc\", "
                    "\"then\": \"allow\","
                    " \"sha256\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},"
                    "{\"effect\": \"exec\", \"path\": \"/m/**\", \"process\": \"train*\", \"origin\": [\"unpickler\"], "
                    "\"then\": \"allow\"},"
                    "{\"effect\": \"call\", \"match\": \"a.b\", \"format\": [\"joblib\"], \"then\": \"allow\"},"
                    "{\"effect\": \"call\", \"match\": \"a.old\", \"expires\": \"2001-01-01\", \"then\": \"allow\"},"
                    "{\"effect\": \"call\", \"match\": \"a.new\", \"expires\": \"9999-12-31\", \"then\": \"allow\"},"
                    "{\"effect\": [\"call\"], \"unlisted\": true, \"when\": [\"load\"], \"then\": \"deny\"}"));
    struct effect code = {.kind = EFFECT_CODE, .name = "python"};
    unsigned asked = 0;
    struct subject subject = {.moment = MOMENT_LIVE, .model = "hf:org/name", .revision = "abd",
                              .sha256 = give_hash, .sha256_context = &asked};
    unit_ok(judge(policy, subject, code).decision == DECISION_DENY && asked == 0,
            "another revision: no match, and no hash asked for");
    subject.revision = "abc";
    unit_ok(judge(policy, subject, code).decision == DECISION_ALLOW && asked == 1,
            "the revision and the hash: allowed");
    subject.model = "hf:other/name";
    unit_ok(judge(policy, subject, code).decision == DECISION_DENY, "another model: denied");
    subject.model = NULL;
    unit_ok(judge(policy, subject, code).decision == DECISION_DENY, "an unknown model: denied");

    struct effect exec = {.kind = EFFECT_EXEC, .name = "/bin/id"};
    subject = (struct subject){
        .moment = MOMENT_LIVE, .origin = ORIGIN_UNPICKLER, .path = "/m/a/b.pkl", .process = "train.py"};
    unit_ok(judge(policy, subject, exec).decision == DECISION_ALLOW, "path, process and origin fit");
    subject.process = "serve.py";
    unit_ok(judge(policy, subject, exec).decision == DECISION_DENY, "another process does not");
    subject.origin = ORIGIN_APP;
    unit_ok(judge(policy, subject, exec).decision == DECISION_ALLOW, "the application may start programs");

    struct effect joblib = {.kind = EFFECT_CALL, .name = "a.b", .format = "joblib"};
    unit_ok(judge(policy, (struct subject){.moment = MOMENT_LOAD}, joblib).decision == DECISION_ALLOW,
            "the format fits");
    joblib.format = "pickle";
    unit_ok(judge(policy, (struct subject){.moment = MOMENT_LOAD}, joblib).decision == DECISION_DENY,
            "an unlisted rule of the user's comes before the built-in ones");
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_CALL, "numpy.dtype") == DECISION_ALLOW,
            "and after what the built-in policy lists");
    unit_ok(decide(policy, MOMENT_REST, EFFECT_CALL, "a.old") == DECISION_DENY, "an expired permission is none");
    unit_ok(decide(policy, MOMENT_REST, EFFECT_CALL, "a.new") == DECISION_ALLOW, "one that has not expired is one");
    policy_free(policy);
}

static void test_precedence(void)
{
    static const char user[] = RULES(
        "{\"id\": \"u\", \"effect\": \"call\", \"match\": [\"os.system\", \"a.*\", \"c.d\"], \"then\": \"allow\"}");
    static const char site[] = RULES("{\"id\": \"s\", \"effect\": \"call\", \"match\": [\"a.b\"], \"then\": \"deny\"}");
    static const char locked[] = "{\"version\": 1, \"locked\": true, \"rules\": [{\"id\": \"s\", \"effect\": \"call\","
                                 " \"match\": [\"a.b\"], \"then\": \"deny\"}]}";
    struct policy *open = load_two(site, user), *firm = load_two(locked, user);
    unit_ok(decide(open, MOMENT_REST, EFFECT_CALL, "os.system") == DECISION_ALLOW,
            "a user's rule may allow even os.system");
    unit_ok(decide(open, MOMENT_REST, EFFECT_CALL, "a.b") == DECISION_ALLOW, "the user's rules come before the site's");
    unit_ok(decide(firm, MOMENT_REST, EFFECT_CALL, "os.system") == DECISION_DENY,
            "not when the site's policy is locked");
    unit_ok(decide(firm, MOMENT_REST, EFFECT_CALL, "a.b") == DECISION_DENY, "a locked site's denial stands");
    unit_ok(decide(firm, MOMENT_REST, EFFECT_CALL, "c.d") == DECISION_ALLOW,
            "what nobody lists a user may still allow");
    policy_free(open);
    policy_free(firm);
}

static void test_deeds(const struct policy *policy)
{
    for (int origin = 0; origin < ORIGINS; origin++) {
        struct effect exec = {.kind = EFFECT_EXEC, .name = "/bin/id"};
        enum decision decision =
            judge(policy, (struct subject){.moment = MOMENT_LIVE, .origin = (enum origin)origin}, exec).decision;
        bool hostile = origin == ORIGIN_UNPICKLER || origin == ORIGIN_TORCHSCRIPT || origin == ORIGIN_GRAPH ||
                       origin == ORIGIN_LAMBDA || origin == ORIGIN_TEMPLATE;
        unit_ok((decision == DECISION_DENY) == hostile, "exec asked by %s: %s", origin_name((enum origin)origin),
                decision_name(decision));
    }
    static const struct {
        const char *name;
        enum decision decision;
    } reads[] = {{"weights.bin", DECISION_ALLOW}, {"sub/weights.bin", DECISION_ALLOW}, {"/etc/passwd", DECISION_DENY},
                 {"../x", DECISION_DENY},         {"a/../../x", DECISION_DENY},        {"C:\\x", DECISION_DENY},
                 {"..", DECISION_DENY},           {"~/x", DECISION_DENY}};
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++)
        unit_ok(decide(policy, MOMENT_LOAD, EFFECT_READ, reads[i].name) == reads[i].decision,
                "a config that reads %s: %s", reads[i].name, decision_name(reads[i].decision));
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_MALFORMED, "zip-names-differ") == DECISION_DENY, "malformed is denied");
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_OPAQUE, "anything") == DECISION_DENY, "opaque is denied");
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_CODE, "auto_map") == DECISION_WARN, "declared code warns");
    unit_ok(decide(policy, MOMENT_LIVE, EFFECT_CODE, "python") == DECISION_DENY, "the model's own code is denied");
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_CODE, "never-heard-of") == DECISION_DENY, "unknown code is denied");
    unit_ok(decide(policy, MOMENT_LOAD, EFFECT_DEPEND, "org/base") == DECISION_ALLOW,
            "a declared dependency is allowed");
}

int main(void)
{
    struct policy *policy = load_two(NULL, NULL);
    test_edges();
    test_implied();
    test_gadgets(policy);
    test_benign(policy);
    test_aliases(policy);
    test_unlisted(policy);
    test_arguments(policy);
    test_holders(policy);
    test_deeds(policy);
    test_circumstances();
    test_precedence();
    policy_free(policy);
    return unit_done();
}
