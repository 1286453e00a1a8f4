/*
 * The control socket of a running gateway: what `busferry buffer` and its kin speak to.  Where it is: control_place.h.
 *
 * The protocol.  A client sends lines of words (request.h), at most 4096 bytes each, one after the other or several at
 * once.  Each is answered by any number of lines, each one JSON object, of which the last begins with {"ok": and no
 * other does:
 *
 *     {"ok":true}
 *     {"ok":false,"error":"unknown request","code":64}       code: an exit code of sysexits
 *
 *     request                 lines before the last
 *     status                  one, as stats_status_json writes it
 *     wire line, wire read …  one, as in control_wire.h
 *     buffer status           one, as in buffer_text.h
 *     buffer export [FILTER]  one for each message that waits, in order, as in buffer_text.h
 *     buffer count [FILTER]   {"messages":3,"in_flight":1}: of those that match, what drop would take, and what not
 *     buffer drop [FILTER]    the same, of what it has taken
 *
 * FILTER is an MQTT filter; without it all match.  A drop whose client goes away ends at the next pull.
 *
 * Bounds: eight clients; one that sends nothing for a minute, or takes nothing for ten, is closed, and the one that has
 * been quiet longest (a second at least) makes way for a ninth.  A line that is too long ends its connection.
 *
 * All of it on the main thread, without ever blocking; what lies on disk is fetched through the store's inquiry.
 */
#ifndef APP_CONTROL_H
#define APP_CONTROL_H

#include "app/gateway.h"
#include "base/clock.h"

struct control;

/* Makes the socket for the gateway, which outlives it.  NULL when there can be none, which is a warning in the log, and
 * for one that prints, which nobody has to ask. */
struct control *control_open(struct gateway *gateway);

/* The same on a socket that listens already, without blocking; it is closed with it.  NULL without memory. */
struct control *control_open_fd(struct gateway *gateway, int listen_fd);

/* Closes all connections and removes the socket.  NULL is fine. */
void control_close(struct control *control);

/* Readable when control_step has something to do; -1 for NULL. */
int control_fd(const struct control *control);

/* Does it.  Returns when it wants to be called again at the latest, CLOCK_NEVER for NULL. */
int64_t control_step(struct control *control, int64_t now_us);

#endif
