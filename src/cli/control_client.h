/*
 * The other end of the control socket: a command that asks the gateway which runs a map.  See app/control.h.
 */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Connects.  0 and *ret_gateway, for fclose; -ENOENT there is none, -EACCES there is one for others to talk to,
 * -ETIMEDOUT it takes nobody, -ENOMEM and the like.
 */
int control_client_connect(const char *map, FILE **ret_gateway);

/* The same of a connection that stands; the descriptor is closed if it fails. */
int control_client_open(int fd, FILE **ret_gateway);

/*
 * Asks with a line of words and gives `take` each line of the answer but the last, NUL-terminated, until it returns
 * false. 0, or the exit code, after an error on stderr.
 */
int control_client_ask(FILE *gateway, const char *const *words, size_t n_words,
	bool (*take)(void *user, const char *line, size_t n), void *user);

/* The same, without a word about why it failed. */
int control_client_ask_quietly(FILE *gateway, const char *const *words, size_t n_words,
	bool (*take)(void *user, const char *line, size_t n), void *user);

/* The last line of an answer, which begins with {"ok": as no other does: 0, or the exit code after an error. */
bool control_client_is_last(const char *line);
int control_client_verdict(const char *line, size_t n);

#endif
