/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xenhost: does to the stand-in host what xl, libxl and misfortune do to a real one.
 *
 * Each run does one thing and ends; what it has to say is one JSON value on stdout. Exit status 0,
 * or 1 with a message, or 22 when it was called wrongly.
 */
#include "xenhost.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("xenhost: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

uint32_t parse_number(const char *text, uint32_t max, const char *what)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > max) {
		fprintf(stderr, "xenhost: %s is a number from 0 to %u, not '%s'\n", what, max, text);
		exit(EINVAL);
	}
	return value;
}

static void command_init(struct options *o, char **arguments)
{
	int error = standin_init(o->conring);
	int port;
	char path[4096];
	FILE *file;

	(void)arguments;
	if (error)
		die("init: %s (is STANDIN_DIR an empty directory?)", strerror(-error));
	/* dom0's own connection to xenstored, which is told of it by the kernel. */
	standin_lock();
	port = standin_port_unbound(0, 0, 0);
	standin_unlock();
	if (standin_path(path, sizeof(path), "xsd_port") || !(file = fopen(path, "w")))
		die("xsd_port: %s", strerror(errno));
	fprintf(file, "%d", port);
	fclose(file);
	if (standin_path(path, sizeof(path), "xsd_kva") || !(file = fopen(path, "w")))
		die("xsd_kva: %s", strerror(errno));
	for (int i = 0; i < STANDIN_PAGE_SIZE; i++)
		fputc(0, file);
	fclose(file);
}

static const struct command {
	const char *name;
	void (*run)(struct options *o, char **arguments);
	int arguments; /* at least; -1: exactly none */
	const char *usage;
} commands[] = {
	{ "init", command_init, -1, "[--conring BYTES]" },
	{ "create", command_create, -1,
	  "[--domid N] [--name NAME | --no-name] [--uuid UUID] [--type TYPE|none]\n"
	  "\t[--limit BYTES|none] [--tty PATH | --no-tty] [--output TEXT | --no-output] [--vuart]\n"
	  "\t[--consoles N] [--no-ring-ref] [--no-port] [--old-builder] [--hvm] [--paused]\n"
	  "\t[--no-nodes] [--wait-tty] [--backend DOMID]" },
	{ "batch", command_batch, 1, "COUNT [as create]" },
	{ "destroy", command_destroy, 1, "DOMID..." },
	{ "kill", command_kill, 1, "DOMID...\t(the nodes stay)" },
	{ "remove-nodes", command_remove_nodes, 1, "DOMID...\t(the domain lives on)" },
	{ "pause", command_pause, 1, "DOMID" },
	{ "unpause", command_unpause, 1, "DOMID" },
	{ "shutdown", command_shutdown, 1,
	  "DOMID [--reason poweroff|reboot|suspend|crash|watchdog|soft_reset]" },
	{ "resume", command_resume, 1, "DOMID" },
	{ "reboot", command_reboot, 1, "DOMID [as create]" },
	{ "restore", command_restore, 1, "DOMID [--same-port] [--hvm]" },
	{ "soft-reset", command_soft_reset, 1, "DOMID" },
	{ "rename", command_rename, 2, "DOMID NAME" },
	{ "close-port", command_close_port, 1, "DOMID [--console N]" },
	{ "move-port", command_move_port, 1,
	  "DOMID [--console N] [--no-node] [--keep-old | --same-number] [--backend DOMID]" },
	{ "rebuild-page", command_rebuild_page, 1, "DOMID [--console N]" },
	{ "set-handle", command_set_handle, 2, "DOMID UUID" },
	{ "move-page", command_move_page, 1, "DOMID [--console N] [--no-node]" },
	{ "list", command_list, -1, "" },
	{ "page", command_page, 1, "DOMID [--console N] [--text]" },
	{ "ports", command_ports, -1, "" },
	{ "mappings", command_mappings, -1, "" },
	{ "hvprint", command_hvprint, -1, "<TEXT" },
	{ "storm", command_storm, 2, "DOMID COUNT [--console N]" },
	{ "inject", command_inject, 0,
	  "CALL [--errno NAME|none] [--times N] [--only DOMID] [--delay MICROSECONDS] |\n"
	  "\t--list | --clear" },
	{ "break-handle", command_break_handle, -1, "--pid PID" },
	{ "introduced", command_introduced, 1, "DOMID" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

__attribute__((noreturn)) static void usage(FILE *to, int status)
{
	fprintf(to, "usage: xenhost COMMAND ..., on the stand-in host in $STANDIN_DIR\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %s %s\n", commands[i].name, commands[i].usage);
	exit(status);
}

/* How an option's value gets into struct options. */
enum kind {
	NUMBER,
	TEXT,
	TEXT_OR_NONE,
	FLAG,
	NO_TEXT, /* no value: there shall be no such text */
};

#define AT(member) offsetof(struct options, member)

static const struct setting {
	const char *name;
	enum kind kind;
	size_t at;
	uint32_t max;
} settings[] = {
	{ "domid", NUMBER, AT(domid), STANDIN_DOMIDS - 1 },
	{ "console", NUMBER, AT(console), STANDIN_CONSOLES - 1 },
	{ "consoles", NUMBER, AT(consoles), STANDIN_CONSOLES - STANDIN_CONSOLE_EXTRA },
	{ "conring", NUMBER, AT(conring), STANDIN_CONRING_MAX },
	{ "times", NUMBER, AT(times), UINT32_MAX },
	{ "delay", NUMBER, AT(delay), UINT32_MAX },
	{ "only", NUMBER, AT(only_domid), STANDIN_DOMIDS - 1 },
	{ "pid", NUMBER, AT(pid), INT32_MAX },
	{ "backend", NUMBER, AT(backend), STANDIN_DOMIDS - 1 },
	{ "name", TEXT, AT(name), 0 },
	{ "uuid", TEXT, AT(uuid), 0 },
	{ "tty", TEXT, AT(tty), 0 },
	{ "output", TEXT, AT(output), 0 },
	{ "reason", TEXT, AT(reason), 0 },
	{ "type", TEXT_OR_NONE, AT(type), 0 },
	{ "limit", TEXT_OR_NONE, AT(limit), 0 },
	{ "errno", TEXT_OR_NONE, AT(error), 0 },
	{ "no-name", NO_TEXT, AT(name), 0 },
	{ "no-tty", NO_TEXT, AT(tty), 0 },
	{ "no-output", NO_TEXT, AT(output), 0 },
	{ "no-ring-ref", FLAG, AT(no_ring_ref), 0 },
	{ "no-port", FLAG, AT(no_port), 0 },
	{ "keep-old", FLAG, AT(keep_old), 0 },
	{ "no-node", FLAG, AT(no_node), 0 },
	{ "no-nodes", FLAG, AT(no_nodes), 0 },
	{ "vuart", FLAG, AT(vuart), 0 },
	{ "old-builder", FLAG, AT(old_builder), 0 },
	{ "paused", FLAG, AT(paused), 0 },
	{ "hvm", FLAG, AT(hvm), 0 },
	{ "wait-tty", FLAG, AT(wait_tty), 0 },
	{ "same-port", FLAG, AT(same_port), 0 },
	{ "same-number", FLAG, AT(same_number), 0 },
	{ "list", FLAG, AT(list), 0 },
	{ "clear", FLAG, AT(clear), 0 },
	{ "text", FLAG, AT(text), 0 },
};

enum {
	SETTINGS = sizeof(settings) / sizeof(settings[0]),
	HELP = 'h',
	FIRST_SETTING = 256,
};

static void take(struct options *o, const struct setting *setting, const char *value)
{
	void *at = (char *)o + setting->at;

	switch (setting->kind) {
	case NUMBER:
		*(uint32_t *)at = parse_number(value, setting->max, setting->name);
		break;
	case TEXT_OR_NONE:
		*(const char **)at = strcmp(value, "none") ? value : NULL;
		break;
	case FLAG:
		*(bool *)at = true;
		break;
	case TEXT:
	case NO_TEXT:
		*(const char **)at = value;
		break;
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	struct option options[SETTINGS + 2] = { [SETTINGS] = { .name = "help", .val = HELP } };
	int option;

	for (int i = 0; i < SETTINGS; i++) {
		options[i].name = settings[i].name;
		options[i].has_arg = settings[i].kind != FLAG && settings[i].kind != NO_TEXT;
		options[i].val = FIRST_SETTING + i;
	}
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (option == HELP)
			usage(stdout, 0);
		else if (option < FIRST_SETTING)
			usage(stderr, EINVAL);
		else
			take(o, &settings[option - FIRST_SETTING], optarg);
}

int main(int argc, char **argv)
{
	struct options o = {
		.name = "guest",
		.type = "xenconsoled",
		.limit = "1048576",
		.tty = "",
		.output = "pty",
		.reason = "poweroff",
		.error = "EINVAL",
		.times = 1,
		.conring = 16384,
		.only_domid = STANDIN_DOMIDS,
	};
	const struct command *command = commands;

	signal(SIGPIPE, SIG_IGN);
	parse(&o, argc, argv);
	if (optind == argc)
		usage(stderr, EINVAL);
	while (command < commands + COMMANDS && strcmp(command->name, argv[optind]))
		command++;
	argc -= optind + 1;
	if (command == commands + COMMANDS || argc < command->arguments || (command->arguments < 0 && argc))
		usage(stderr, EINVAL);
	if (command->run != command_init)
		standin_host_or_exit();
	command->run(&o, argv + optind + 1);
	return 0;
}
