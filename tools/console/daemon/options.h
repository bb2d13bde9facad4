/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * argv to a const struct.  Option names, letters and values are those
 * of the incumbent; what it ignores silently is an error here.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Longest path, in bytes: a file's name still fits behind it in PATH_MAX. */
#define OPTIONS_PATH_MAX 3800

enum options_mode {
	OPTIONS_SERVE,	    /* be the daemon */
	OPTIONS_DISCONNECT, /* one-shot: mark consoles that nobody serves DISCONNECTED */
	OPTIONS_RECONNECT,  /* one-shot: mark them CONNECTED, for going back to the incumbent */
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

struct options {
	enum options_mode mode;
	bool verbose;
	bool interactive;	    /* stay in the foreground, no pid file */
	bool log_guest, log_hv;	    /* --log */
	bool stamp_guest, stamp_hv; /* --timestamp */
	bool replace_escape;
	bool vuart;		/* --vuart: look for vuart consoles as well */
	bool keep;		/* --overflow-data=keep: a full buffer holds the guest */
	unsigned int cpu_share; /* percent of one core for guests that flood, together; 100: no bound */
	size_t buffer_limit; /* bytes kept for a reader where xenstore's limit is absent or 0, and its ceiling */
	const char *log_dir; /* absolute, like all paths here */
	const char *run_dir; /* the lock, the logs' queues */
	char pid_file[OPTIONS_PATH_MAX + 64];
};

/*
 * Parse.  An empty value means the default, and of an option given twice the last counts.  At
 * --help or --version, parsing ends.  Returns 0, or -EINVAL after writing one line to err
 * that names the option, the value and the choices.  Directories point into argv or are literals.
 */
int options_parse(struct options *o, int argc, char **argv, FILE *err);

/* The text of --help: every option with its default and its choices. */
void options_help(FILE *out);

#endif
