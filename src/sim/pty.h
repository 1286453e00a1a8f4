/*
 * A pseudo terminal that stands for a serial port: we hold the device's end, whoever opens the link
 * has the other.  One owner thread.
 */
#ifndef SIM_PTY_H
#define SIM_PTY_H

#include <stdbool.h>

struct pty {
	int fd;    /* ours; non-blocking; -1 = closed */
	int other; /* theirs, held open too */
	char name[64];
	char *link;
};

/*
 * Makes a pty, raw, and a symbolic link to it.  A link to a pty that is there already is replaced.
 * 0; -EEXIST when something else is at `link`; -errno of what failed.
 */
int pty_open(struct pty *pty, const char *link);

/* Could pty_open make its link there?  True as well for one that it made before. */
bool pty_can_link(const char *link);

/* Removes the link if it is still ours.  Fine for one that was never opened. */
void pty_close(struct pty *pty);

#endif
