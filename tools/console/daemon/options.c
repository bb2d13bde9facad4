/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The incumbent takes a wrong value for its default and says nothing, so that an administrator who
 * mistypes --log finds out when the log is needed.  Here every value is checked
 * before anything else happens, and the error names what would have been right.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MIN ((size_t)2 << 10) /* one ring */
#define LIMIT_MAX ((size_t)64 << 20)
#define LIMIT_DEFAULT ((size_t)1 << 20)
#define SHARE_DEFAULT 50

/* Nothing but Arm has vuarts. */
#if defined(__arm__) || defined(__aarch64__)
#define VUART_AUTO true
#else
#define VUART_AUTO false
#endif

enum {
	OPT_LOG = 0x100, /* beyond every letter */
	OPT_LOG_DIR,
	OPT_PID_FILE,
	OPT_RUN_DIR,
	OPT_REPLACE_ESCAPE,
	OPT_BUFFER_LIMIT,
	OPT_CPU_SHARE,
	OPT_VUART,
	OPT_DISCONNECT,
	OPT_RECONNECT,
};

static const char letters[] = "+:hVvit:o:";

static const struct option longs[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-dir", required_argument, NULL, OPT_LOG_DIR },
	{ "pid-file", required_argument, NULL, OPT_PID_FILE },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "timestamp", required_argument, NULL, 't' },
	{ "overflow-data", required_argument, NULL, 'o' },
	{ "replace-escape", no_argument, NULL, OPT_REPLACE_ESCAPE },
	{ "buffer-limit", required_argument, NULL, OPT_BUFFER_LIMIT },
	{ "cpu-share", required_argument, NULL, OPT_CPU_SHARE },
	{ "vuart", required_argument, NULL, OPT_VUART },
	{ "disconnect", no_argument, NULL, OPT_DISCONNECT },
	{ "reconnect", no_argument, NULL, OPT_RECONNECT },
	{ NULL, 0, NULL, 0 },
};

/* What a value may be; an empty one is the first. */
static const char *const which_logs[] = { "none", "guest", "hv", "all", NULL }; /* bit 0: guest, bit 1: hv */
static const char *const overflows[] = { "discard", "keep", NULL };
static const char *const vuarts[] = { "auto", "yes", "no", NULL };

void options_help(FILE *out)
{
	fputs("xenconsoled serves the consoles of Xen guests: from each guest's shared page to a\n"
	      "log and to a pseudo-terminal, and back.\n"
	      "\n"
	      "Usage: xenconsoled [OPTION]...\n"
	      "\n"
	      "  -i, --interactive         stay in the foreground, keep no pid file\n"
	      "  -v, --verbose             say more\n"
	      "      --log=WHICH           none (default), guest, hv or all: what is logged\n"
	      "      --log-dir=DIR         where; default " LOG_DIR "\n"
	      "  -t, --timestamp=WHICH     none (default), guest, hv or all: which logs have time stamps\n"
	      "      --replace-escape      write '.' for ESC in logs\n"
	      "  -o, --overflow-data=HOW   discard (default) or keep: a reader who is too slow costs\n"
	      "                            old data, or holds the guest\n"
	      "      --buffer-limit=BYTES  2K to 64M, default 1M: kept for a reader where xenstore says\n"
	      "                            nothing, and the most that it may ask for\n"
	      "      --cpu-share=PERCENT   1 to 100, default 50: of one core, what guests that flood may\n"
	      "                            take of it together; 100: all\n"
	      "      --vuart=WHETHER       auto (default: on Arm), yes or no: serve vuart consoles\n"
	      "      --pid-file=PATH       default xenconsoled.pid in the run directory\n"
	      "      --run-dir=DIR         lock, pid file, log queues; default " RUN_DIR "\n"
	      "\n"
	      "Instead of serving:\n"
	      "      --disconnect          mark consoles that nobody serves as disconnected, and exit\n"
	      "      --reconnect           mark them as connected, for a daemon that does not know the\n"
	      "                            flag, and exit\n"
	      "  -h, --help\n"
	      "  -V, --version\n"
	      "\n"
	      "An empty value means the default.\n",
	      out);
}

static const char *long_name(int opt)
{
	const struct option *o = longs;

	while (o->val != opt)
		o++;
	return o->name;
}

/* True if word stands in setting as a word, or as an option's value. */
static bool mentions(const char *setting, const char *word)
{
	const char *at = setting;

	for (; (at = strstr(at, word)); at++) {
		char after = at[strlen(word)];

		if ((at == setting || strchr(" =", at[-1])) && (!after || after == ' '))
			return true;
	}
	return false;
}

/*
 * Begin the line that says what is wrong.  Service files take options from variables: where word, the
 * value or option at fault, comes from one of those, the administrator is told which.
 */
static void blame(FILE *err, const char *what, const char *option, const char *word)
{
	static const char *const variables[] = { "XENCONSOLED_TRACE", "XENCONSOLED_LOG_DIR",
						 "XENCONSOLED_ARGS", "XENCONSOLED_OPTS" };

	fprintf(err, "xenconsoled: %s%s%s", what, option, word);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *setting = getenv(variables[i]);

		if (setting && mentions(setting, word)) {
			fprintf(err, " (set by %s)", variables[i]);
			return;
		}
	}
}

static void blame_value(FILE *err, int opt, const char *value)
{
	char option[32];

	snprintf(option, sizeof(option), "--%s=", long_name(opt));
	blame(err, "", option, value);
}

/* The place of value in choices, or -EINVAL after saying what they are. */
static int choose(int opt, const char *value, const char *const choices[], FILE *err)
{
	if (!*value)
		return 0;
	for (int i = 0; choices[i]; i++)
		if (!strcmp(value, choices[i]))
			return i;
	blame_value(err, opt, value);
	fputs(": the choices are", err);
	for (int i = 0; choices[i]; i++)
		fprintf(err, "%s %s", i ? "," : "", choices[i]);
	fputs("\n", err);
	return -EINVAL;
}

static int which_log(int opt, const char *value, bool *guest, bool *hv, FILE *err)
{
	int which = choose(opt, value, which_logs, err);

	if (which < 0)
		return which;
	*guest = which & 1;
	*hv = which & 2;
	return 0;
}

static int overflow(int opt, const char *value, bool *keep, FILE *err)
{
	int which = choose(opt, value, overflows, err);

	if (which < 0)
		return which;
	*keep = which;
	return 0;
}

static int vuart(int opt, const char *value, bool *serve, FILE *err)
{
	int which = choose(opt, value, vuarts, err);

	if (which < 0)
		return which;
	*serve = which ? which == 1 : VUART_AUTO;
	return 0;
}

/* The daemon's working directory is /: a relative path would mean another place than where it was typed. */
static int path(int opt, const char *value, FILE *err)
{
	if (!*value || (*value == '/' && strlen(value) <= OPTIONS_PATH_MAX))
		return 0;
	blame_value(err, opt, value);
	fprintf(err, ": must be an absolute path of at most %d bytes\n", OPTIONS_PATH_MAX);
	return -EINVAL;
}

static int directory(int opt, const char *value, const char *preset, const char **dir, FILE *err)
{
	*dir = *value ? value : preset;
	return path(opt, value, err);
}

static int pid_file(int opt, const char *value, struct options *o, FILE *err)
{
	snprintf(o->pid_file, sizeof(o->pid_file), "%s", value);
	return path(opt, value, err);
}

/* Digits, then K, M or nothing.  Numbers beyond LIMIT_MAX need not be told apart. */
static bool parse_size(const char *s, size_t *size)
{
	bool known = true;
	uint64_t n = 0;

	if (!*s || !strchr("0123456789", *s))
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n > LIMIT_MAX ? n : n * 10 + (*s - '0');
	if (*s) {
		known = strchr("KkMm", *s) && !s[1];
		n <<= strchr("Kk", *s) ? 10 : 20;
	}
	*size = n > LIMIT_MAX ? LIMIT_MAX + 1 : n;
	return known;
}

static int buffer_limit(int opt, const char *value, size_t *limit, FILE *err)
{
	size_t size = LIMIT_DEFAULT;

	if (*value && (!parse_size(value, &size) || size < LIMIT_MIN || size > LIMIT_MAX)) {
		blame_value(err, opt, value);
		fputs(": must be 2K to 64M: bytes, or with K or M after it\n", err);
		return -EINVAL;
	}
	*limit = size;
	return 0;
}

static int cpu_share(int opt, const char *value, unsigned int *percent, FILE *err)
{
	size_t n = SHARE_DEFAULT;

	if (*value && (!parse_size(value, &n) || n < 1 || n > 100)) {
		blame_value(err, opt, value);
		fputs(": must be 1 to 100: percent of one core\n", err);
		return -EINVAL;
	}
	*percent = n;
	return 0;
}

static int mode(enum options_mode wanted, struct options *o, FILE *err)
{
	if (o->mode != OPTIONS_SERVE && o->mode != wanted) {
		fputs("xenconsoled: --disconnect and --reconnect exclude each other\n", err);
		return -EINVAL;
	}
	o->mode = wanted;
	return 0;
}

/* getopt_long() returned '?': an option that is not there, or one that takes no value and got one. */
static int unknown(const char *word, FILE *err)
{
	if (!optopt)
		blame(err, "unknown or ambiguous option ", "", word);
	else if (optopt > UCHAR_MAX || (isalpha(optopt) && strchr(letters, optopt)))
		fprintf(err, "xenconsoled: --%s takes no value", long_name(optopt));
	else
		blame(err, "unknown option ", "", (const char[]){ '-', optopt, '\0' });
	fputs("; see xenconsoled --help\n", err);
	return -EINVAL;
}

static int apply(struct options *o, int opt, char **argv, FILE *err)
{
	switch (opt) {
	case 'h':
		o->mode = OPTIONS_HELP;
		return 0;
	case 'V':
		o->mode = OPTIONS_VERSION;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'i':
		o->interactive = true;
		return 0;
	case OPT_LOG:
		return which_log(opt, optarg, &o->log_guest, &o->log_hv, err);
	case OPT_LOG_DIR:
		return directory(opt, optarg, LOG_DIR, &o->log_dir, err);
	case OPT_PID_FILE:
		return pid_file(opt, optarg, o, err);
	case OPT_RUN_DIR:
		return directory(opt, optarg, RUN_DIR, &o->run_dir, err);
	case 't':
		return which_log(opt, optarg, &o->stamp_guest, &o->stamp_hv, err);
	case 'o':
		return overflow(opt, optarg, &o->keep, err);
	case OPT_REPLACE_ESCAPE:
		o->replace_escape = true;
		return 0;
	case OPT_BUFFER_LIMIT:
		return buffer_limit(opt, optarg, &o->buffer_limit, err);
	case OPT_CPU_SHARE:
		return cpu_share(opt, optarg, &o->cpu_share, err);
	case OPT_VUART:
		return vuart(opt, optarg, &o->vuart, err);
	case OPT_DISCONNECT:
		return mode(OPTIONS_DISCONNECT, o, err);
	case OPT_RECONNECT:
		return mode(OPTIONS_RECONNECT, o, err);
	case ':':
		fprintf(err, "xenconsoled: --%s wants a value; see xenconsoled --help\n", long_name(optopt));
		return -EINVAL;
	}
	return unknown(argv[optind - 1], err);
}

int options_parse(struct options *o, int argc, char **argv, FILE *err)
{
	int opt;

	*o = (struct options){
		.mode = OPTIONS_SERVE,
		.buffer_limit = LIMIT_DEFAULT,
		.cpu_share = SHARE_DEFAULT,
		.vuart = VUART_AUTO,
		.log_dir = LOG_DIR,
		.run_dir = RUN_DIR,
	};
	opterr = 0;
	optind = 0; /* anew, and with the letters' flags read */
	while ((opt = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		int failed = apply(o, opt, argv, err);

		if (failed)
			return failed;
		if (o->mode == OPTIONS_HELP || o->mode == OPTIONS_VERSION)
			return 0;
	}
	if (optind < argc) {
		blame(err, "unexpected argument ", "", argv[optind]);
		fputs("; see xenconsoled --help\n", err);
		return -EINVAL;
	}
	if (!*o->pid_file)
		snprintf(o->pid_file, sizeof(o->pid_file), "%s/xenconsoled.pid", o->run_dir);
	return 0;
}
