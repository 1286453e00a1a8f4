/*
 * A message on its way to the broker, and the sink that takes one.
 */
#ifndef MODEL_MESSAGE_H
#define MODEL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_TOPIC_MAX   1024    /* bytes; the map is checked against it */
#define MESSAGE_PAYLOAD_MAX 262144u /* bytes */

enum message_kind {
	MESSAGE_READING,  /* counted, buffered, marked when replayed */
	MESSAGE_STANDING, /* availability, state, info: announced anew on every connect, so never buffered */
};

struct message {
	const char *topic; /* NUL-terminated */
	const void *payload;
	size_t payload_n;
	int64_t time_ms;   /* wall time of the reading */
	int64_t put_at;    /* monotonic, about now: a look at the clock costs as much as the rest; 0 = look */
	uint32_t expire_s; /* 0 = never */
	uint8_t qos;
	bool retain;
	bool json;        /* the payload is a JSON object: marks may be added before its closing brace */
	bool line;        /* the payload is influx line protocol: its time stands at its end */
	bool buffer;      /* may wait on disk */
	bool latest_only; /* of those that wait with this topic only the newest is kept */
	enum message_kind kind;
};

struct message_sink {
	/* Copies the message.  0, or -ENOBUFS when it was dropped and counted.  Never blocks, any thread. */
	int (*put)(struct message_sink *sink, const struct message *message);
	/* What was put since the last call may leave: one wake-up for many messages. */
	void (*flush)(struct message_sink *sink);
};

#endif
