/*
 * Stands in for line_serial.c and line_tcp.c: what is opened is one end of a socket pair, the test has the other.
 */
#ifndef TESTS_PORT_PAIR_H
#define TESTS_PORT_PAIR_H

extern int port_pair_fd;         /* the test's end, -1 = closed */
extern unsigned port_pair_opens; /* so often it was opened */

/* Closes the test's end: unplugged. */
void port_pair_unplug(void);

#endif
