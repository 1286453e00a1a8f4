/*
 * The request that borrows a wire: a command asks a device on a port that the gateway holds.
 *
 *     wire line PORT
 *     wire read PORT UNIT TABLE AT COUNT
 *
 * The first only asks whether the gateway has the port, and tells "port" and "line" as below.  PORT is a serial port by
 * any of its names, TABLE one of coil, discrete, input, holding.  One line before the last:
 *
 *     {"port":"/dev/ttyUSB0","line":"9600 8N1","bytes":"00FA"}
 *     {"port":…,"line":…,"failure":"exception","exception":2}
 *
 * bytes: registers as on the wire, or bits, the first one lowest.  failure: exception, timeout, damaged, gone, silent
 * (it was not asked, as it has not answered lately) or busy (it could not be asked in time).
 *
 * The last line says {"ok":true} whatever the device said; {"ok":false} when it could not be asked: code 64 no such
 * request or place, 66 no bus of this gateway is at that port, 75 too much is asked at once or the bus restarts.
 *
 * What is asked goes between the gateway's own polls, by the rules of field/errand.h, so it costs them one question.
 *
 * Main thread, but for the outcome, which comes on the wire's.  The places where outcomes are left are the process's,
 * so that one which comes after the control socket was closed still has where to go.
 */
#ifndef APP_CONTROL_WIRE_H
#define APP_CONTROL_WIRE_H

#include "app/answer.h"
#include "app/gateway.h"

void control_wire_line(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);
void control_wire_read(struct answer *answer, struct gateway *gateway, const char *const *arguments, size_t n);

/* Readable when an outcome has come; -1 when there can be none. */
int control_wire_fd(void);

/* The ticket of an answer that can go on, or 0 when there is none more.  Its outcome is there until it is taken. */
uint64_t control_wire_next(void);

/* Writes the outcome of that ticket; NULL: nobody wants it any more. */
void control_wire_take(struct answer *answer, uint64_t ticket);

#endif
