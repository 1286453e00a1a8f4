/*
 * Why a port can't be opened, in words that help.  Any thread.
 */
#ifndef FIELD_PORT_FAILURE_H
#define FIELD_PORT_FAILURE_H

#define PORT_FAILURE_SIZE 256

/*
 * What -errno of opening `path` means: who has it, which group opens it, what its driver refuses; else the system's own
 * words.  path NULL: no port, a host.  Returns text.
 */
const char *port_failure_text(const char *path, int failure, char text[static PORT_FAILURE_SIZE]);

#endif
