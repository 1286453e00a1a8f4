/*
 * Who has a serial port open, as far as /proc tells us: without root the files of other users' programs are hidden, but
 * not who holds a lock.  Any thread; takes milliseconds, so it is asked only when a port is refused or people ask.
 */
#ifndef FIELD_PORT_HOLDER_H
#define FIELD_PORT_HOLDER_H

#include <sys/types.h>

struct port_holder {
	pid_t pid;
	char name[32]; /* of the program; "" = hidden */
};

/*
 * Another process than ours that holds a lock on the file or, if none does, has it open.  `path` is resolved.  `proc`
 * is where /proc is mounted.  0 and *ret_holder; -ENOENT when nobody is known.
 */
int port_holder_find(const char *proc, const char *path, struct port_holder *ret_holder);

/* The same, but only who has it open. */
int port_holder_open(const char *proc, const char *path, struct port_holder *ret_holder);

#endif
