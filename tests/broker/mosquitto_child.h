/*
 * A real Mosquitto on a free port of the loopback.  The broker, and each program beside it, is a child of the test, in
 * a folder of its own, and is stopped by its id.  One a test program.
 */
#ifndef TESTS_MOSQUITTO_CHILD_H
#define TESTS_MOSQUITTO_CHILD_H

#include "model/plan.h"

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

extern char dir[64]; /* the folder */
extern uint16_t port;
extern pid_t broker_pid, sub_pid; /* the subscriber is the test's; 0 = there is none */

/* Of each test: a new folder and port; both children are ended. */
int setup(void **state);
int teardown(void **state);

/* Fills these two, for a gateway at that broker. */
extern struct plan_endpoint endpoint;
extern struct plan_broker broker;
void plan(int protocol);

/* Writes the broker's configuration; extra: more lines of it. */
void configure(const char *extra);

/* It takes connections when this returns. */
void start_broker(void);

/* The path of a file in the folder; one of eight that stand at a time. */
char *path_of(const char *name);

void nap_ms(int ms);

/* A child whose output goes to the end of that file. */
pid_t spawn(const char *out, const char *const argv[]);

/* Runs one to its good end. */
void command(const char *const argv[]);

/* Sends the signal and waits for the end; *pid is 0 then.  Nothing when it is 0 already. */
void halt(pid_t *pid, int signal_number);

struct sockaddr_in loopback(uint16_t p);

#endif
