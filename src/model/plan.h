/*
 * The plan: what this gateway has been told to be.  Plain constant data in one arena, made by app/ from the device map,
 * read by every thread that began with it, freed when these are joined.  Everything is resolved: inheritance, rules,
 * profiles, topics; whoever reads the plan never asks "and if it is not given?" except where a field says so.
 *
 * Arrays are flat and refer to each other by index, so that an index is all that travels with a reading.
 */
#ifndef MODEL_PLAN_H
#define MODEL_PLAN_H

#include "base/arena.h"
#include "sdk/driver.h"

#include <stdbool.h>
#include <stdint.h>

#define PLAN_EVERY_START (-2) /* every_us: once after each time the device has (re)appeared */
#define PLAN_ADAPTIVE    (-1) /* max_gap: the planner decides by wire time; gap_us: 3.5 characters */

enum plan_payload { PAYLOAD_JSON, PAYLOAD_PLAIN, PAYLOAD_INFLUX };
enum plan_reduce { REDUCE_LAST, REDUCE_MEAN, REDUCE_MIN, REDUCE_MAX };

struct plan_word {
	int64_t number;
	const char *word;
};

/* How readings of one metric leave: by its own keys, else by the first rule of `topics` that has the key. */
struct plan_delivery {
	uint8_t qos; /* 0, 1, 2 */
	bool retain, per_device;
	bool buffer;       /* false: waits in memory only, never on disk */
	bool latest_only;  /* of a backlog keep only the newest */
	uint32_t expire_s; /* MQTT 5 message expiry; 0 = none */
	enum plan_payload payload;
};

/* How a metric may be written.  In scaled units. */
struct plan_write {
	double min, max; /* the least and the greatest that is taken; NaN = what the type can hold */
	double step;     /* from `from` on in whole ones; NaN = any value (of a float) */
	double from;
	bool many; /* by function 15 or 16, though it is one coil or register */
};

/* There are thousands of them, so it is written small: the wide fields first, counts no wider than they need be. */
struct plan_metric {
	const char *topic;             /* site/floor/device/metric */
	const char *name;              /* the last part of the topic */
	const char *unit;              /* NULL = none */
	const struct plan_word *words; /* n_words, sorted by number */
	const uint64_t *invalid;       /* n_invalid raw values, masked to the width of the type, that mean "no value" */
	const struct bf_texts *invalid_texts; /* NULL = none */
	const uint16_t *models;               /* n_models ids; places count from the first that the device has */
	const void *keys; /* of a stream: the struct that the driver's metric_keys fill; NULL = registers */
	const struct plan_write *write; /* NULL = it may not be written */
	double scale, offset;           /* value = raw × scale + offset */
	int64_t every_us;               /* > 0; 0 = as often as the wire has time; PLAN_EVERY_START */

	/* Is it worth telling?  In scaled units; NaN = not given. */
	double min, max, max_step, deadband;
	int64_t heartbeat_us; /* 0 = none */

	struct bf_shape shape;
	struct plan_delivery delivery;
	struct bf_place place;       /* of registers; count 0 in a stream */
	struct bf_place scale_place; /* see scale_from */
	uint32_t device;
	enum plan_reduce reduce;
	uint32_t n_words;
	int decimals; /* of the printed value; -1 = the shortest text */
	uint32_t n_invalid;
	uint16_t message;      /* of a stream: the kind of message that has it … */
	uint16_t index;        /* … and which of several it is there */
	uint8_t n_models;      /* see model/chain.h; 0 = places count from register 0 of the table */
	uint8_t bit, n_bits;   /* of the decoded integer: lowest bit, how many; n_bits 0 = the whole value */
	bool event;            /* told whenever it comes */
	bool scaled;           /* scale is not 1 or offset not 0 */
	bool scale_from;       /* value × 10^register at scale_place, read in the same request */
	bool deadband_percent; /* deadband is in percent of the last value told */
	bool monotonic;
};

/* A device that sends messages. */
struct plan_stream {
	const struct bf_message_told *messages;
	size_t n_messages;
	const struct bf_bytes *init, *stop;
	size_t n_init, n_stop;
	int64_t ignore_first_us;
};

struct plan_device {
	const char *topic;         /* site/floor/device */
	const char *path;          /* floor/device: the topic without the site */
	const char *name;          /* for people */
	const char *maker, *model; /* by its profile; NULL = not known */
	uint32_t bus;
	const struct bf_driver *driver;
	uint8_t address;                  /* unit address; 0 = none was given (of streams only) */
	const void *keys;                 /* the struct that the driver's device_keys fill */
	const struct plan_stream *stream; /* NULL = it is asked for registers */
	uint32_t first_metric, n_metrics;
	int64_t timeout_us;     /* upper bound of the wait for an answer */
	uint16_t max_registers; /* 1..125 */
	int max_gap;            /* registers that may be read over, or PLAN_ADAPTIVE */
};

enum plan_wire {
	WIRE_SERIAL,     /* a serial port or pty */
	WIRE_SERIAL_TCP, /* a serial device server: the serial frames over a TCP connection */
	WIRE_TCP,        /* Modbus TCP */
};

enum plan_rs485 { RS485_AUTO, RS485_KERNEL, RS485_RTS };

struct plan_line {
	uint32_t baud;
	uint8_t data_bits; /* 7, 8 */
	char parity;       /* 'N', 'E', 'O' */
	uint8_t stop_bits; /* 1, 2 */
};

struct plan_bus {
	const char *name; /* as in the map, or made from the port or host of its device */
	enum bf_way way;  /* of the drivers of all its devices */
	enum plan_wire wire;
	const char *port; /* WIRE_SERIAL: path of the port */
	const char *host; /* else */
	uint16_t tcp_port;
	struct plan_line line; /* of serial wires, also behind a device server */
	int64_t timeout_us;
	int64_t gap_us;   /* silence between frames, or PLAN_ADAPTIVE */
	unsigned retries; /* for checksum errors and exceptions 5 and 6 */
	enum plan_rs485 rs485;
	const uint32_t *devices;
	uint32_t n_devices;
};

struct plan_endpoint {
	const char *url; /* for logs and info; never holds a password */
	const char *host;
	uint16_t port;
	bool tls;
};

struct plan_broker {
	const struct plan_endpoint *endpoints; /* tried in order */
	size_t n_endpoints;
	int protocol; /* 4 = MQTT 3.1.1, 5 */
	const char *client_id;
	const char *user;                                           /* NULL = none */
	const char *password_file, *ca_file, *cert_file, *key_file; /* NULL = none */
	unsigned keepalive_s;
	int64_t prefer_first_us; /* how often the first endpoint is looked at while another serves; 0 = never */
	unsigned inflight;       /* messages at QoS 1 that may await their acknowledgement */
	unsigned inflight_qos2;
	int max_qos; /* 2 unless the map says less */
};

enum plan_when_full { WHEN_FULL_DROP_OLDEST, WHEN_FULL_DROP_NEWEST };

struct plan_buffer {
	const char *path; /* NULL = memory only */
	bool path_given;  /* a path that can't be used is then a fault, not a warning */
	int64_t max_size; /* bytes */
	int64_t max_age_us;
	int64_t sync_us;
	unsigned replay; /* messages a second after an outage; 0 = as fast as the broker takes them */
	enum plan_when_full when_full;
	bool live_first;
};

struct plan_homeassistant {
	const char *prefix; /* of discovery topics; NULL = nothing is told */
};

/* The gateway as an edge node of Sparkplug B. */
struct plan_sparkplug {
	bool enabled;
	const char *group, *node;
	const char *host; /* the primary host; NULL = none */
};

/* A page for browsers. */
struct plan_page {
	const char *host; /* where it is listened: an address, or "localhost"; NULL = there is none */
	uint16_t port;
	bool allow_remote;
	const char *password_file; /* NULL = none */
};

struct plan {
	const char *file;  /* the map */
	size_t n_warnings; /* that its reading brought */
	const char *site;
	const char *gateway_id;
	const char *gateway_topic; /* site/gateway/ID */
	bool ids;                  /* "id" in json readings */
	bool control;              /* metrics with `write` may be written, devices polled at once */
	struct plan_broker broker;
	struct plan_buffer buffer;
	struct plan_homeassistant homeassistant;
	struct plan_sparkplug sparkplug;
	struct plan_page page;

	struct plan_bus *buses;
	size_t n_buses;
	struct plan_device *devices;
	size_t n_devices;
	struct plan_metric *metrics; /* those of one device stand together */
	size_t n_metrics;

	struct arena arena; /* owns all of the above */
};

/* Frees what the plan points to.  NULL and zeroed plans are fine. */
void plan_destroy(struct plan *plan);

/* How the message of the whole device leaves; NULL when none of its metrics is told per device. */
const struct plan_delivery *plan_device_delivery(const struct plan *plan, const struct plan_device *device);

/* The device with that topic; NULL = there is none.  The search begins at *at, goes round, and leaves *at behind what
 * it found, so that many devices in their order are found at once. */
const struct plan_device *plan_find_device(const struct plan *plan, const char *topic, size_t *at);

/* Is a metric published at QoS 2, and may the broker be asked for it? */
bool plan_uses_qos2(const struct plan *plan);

/* Copies with all that they point to; memory from the arena. */
struct plan_broker plan_broker_copy(const struct plan_broker *broker, struct arena *arena);
struct plan_buffer plan_buffer_copy(const struct plan_buffer *buffer, struct arena *arena);

/* Memory that readings may take with such a buffer, in bytes: `most` where there is a disk, or could be one; with
 * ":none:" it is all there is, and max_size its bound. */
int64_t plan_buffer_memory(const struct plan_buffer *buffer, int64_t most);

/* Takes over from a map that was read again what can change while a gateway runs: no path, and with one no max_size. */
void plan_buffer_relimit(struct plan_buffer *buffer, const struct plan_buffer *limits);

/* Of a device that sends messages: has any of them to be asked for, by a request or by its driver? */
bool plan_device_is_asked(const struct plan_device *device);

/* What maps and people call a table of cells: "coil", "discrete", "input", "holding". */
const char *plan_space_word(enum bf_space space);

/* The table of that name, n bytes.  False when there is none. */
bool plan_space_from_word(const char *word, size_t n, enum bf_space *ret_space);

/* Length of one character on the line in nanoseconds: start, data, parity and stop bits. */
int64_t plan_line_char_ns(const struct plan_line *line);

/* Bits of a raw value; 0 for a string. */
unsigned plan_type_bits(enum bf_type type);

/* The least and the greatest raw value of a number's type; for floats all finite ones. */
void plan_type_range(enum bf_type type, double *ret_min, double *ret_max);

/*
 * The silence between frames: the bus's own gap, else 3.5 characters, above 19200 baud 1.75 ms (MODBUS over Serial Line
 * V1.02, section 2.5.1.1); 0 for Modbus TCP.
 */
int64_t plan_bus_gap_us(const struct plan_bus *bus);

#endif
