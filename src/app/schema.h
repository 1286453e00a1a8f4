/*
 * The device map, declared: one table of keys for each group that the core knows (contract section 1), the structs
 * that they fill, and the one reader for all of them and for the tables of drivers.
 *
 * Beyond what sdk/key.h says, for the core's own tables:
 *   BF_KEY_DURATION with `choices`: the words are read as -2, -3, … ("start" as PLAN_EVERY_START)
 *   BF_KEY_NODE with `choices`: what may stand there, of group|list|text|value; without choices a group
 */
#ifndef APP_SCHEMA_H
#define APP_SCHEMA_H

#include "app/faults.h"
#include "app/tree.h"
#include "base/arena.h"
#include "sdk/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_top {
	const char *site;
	const struct tree *broker, *gateway, *buses, *floors, *topics, *buffer, *control, *homeassistant, *sparkplug,
		*status_page;
	int64_t every_us;
};

struct map_gateway {
	const char *id;
	int ids;
};

struct map_broker {
	const struct tree *url;
	int protocol;
	const char *client_id, *user, *password_file, *ca_file, *cert_file, *key_file;
	int64_t keepalive_us, prefer_first_us;
	int inflight, max_qos;
};

struct map_buffer {
	const char *path;
	int64_t max_size, max_age_us, sync_us;
	int when_full, replay, order;
};

struct map_control {
	int allow;
};

struct map_homeassistant {
	int enabled;
	const char *prefix;
};

struct map_sparkplug {
	int enabled;
	const char *group, *node, *host;
};

struct map_status_page {
	const char *listen, *password_file;
	int allow_remote;
};

struct map_rule {
	const char *match, *metric;
	int qos, retain, payload, per, buffer, backlog;
	int64_t expire_us;
};

struct map_bus {
	const char *driver, *port, *line, *tcp;
	int64_t timeout_us, gap_us;
	int retries, rs485;
};

struct map_level {
	int64_t every_us;
	const char *topic, *name;
};

struct map_device {
	const char *bus, *driver, *port, *tcp, *line, *profile;
	const char *name, *topic;
	int64_t every_us, timeout_us;
	int address, enabled;
	struct bf_texts only, skip;
	const struct tree *publish, *metrics;
};

/* Of a device that is asked for registers. */
struct map_registers {
	int words, bytes, max_registers, max_gap;
};

/* Of a device that sends messages. */
struct map_stream {
	struct bf_texts init, stop;
	int64_t ignore_first_us;
	int reduce;
	const struct tree *messages;
};

struct map_message {
	struct bf_bytes request;
};

struct map_metric {
	int decimals, monotonic, reduce, qos, retain, payload;
	double scale, offset, min, max, max_step;
	const char *unit, *topic;
	const struct tree *words_of, *bits, *invalid;
	struct bf_scalar deadband;
	int64_t heartbeat_us, every_us;
	const struct tree *write;
};

struct map_write {
	double min, max, step;
	int function;
};

struct map_register_metric {
	int type, length, words, bytes;
	struct bf_scalar scale_from;
	const struct tree *models;
};

struct map_stream_metric {
	const char *message;
	int event, repeat;
};

/* A profile: the file, its header, its quirks, one of its golden vectors, and a run of cells in one. */
struct map_profile_file {
	const char *line;
	const struct tree *profile, *quirks, *probe, *metrics, *vectors;
};

struct map_profile {
	const char *id, *maker, *device, *document, *revision, *note, *transport;
};

struct map_quirks {
	int words, bytes, max_registers, max_gap;
	int64_t timeout_us, gap_us;
};

struct map_vector {
	const char *origin, *recording;
	struct bf_texts input, text;
	const struct tree *registers, *expect;
};

struct map_cells {
	const struct tree *values;
};

extern const struct bf_key schema_top[], schema_gateway[], schema_broker[], schema_buffer[], schema_rule[],
	schema_bus[], schema_level[], schema_device[], schema_registers[], schema_stream[], schema_message[],
	schema_metric[], schema_write[], schema_control[], schema_homeassistant[], schema_sparkplug[],
	schema_status_page[], schema_register_metric[], schema_stream_metric[], schema_profile_file[], schema_profile[],
	schema_quirks[], schema_vector[], schema_cells[];

/* All of them with the name of their group, for who lists them ("check --explain", docs); ends with a NULL. */
struct schema_group {
	const char *name; /* "broker", "a metric" */
	const struct bf_key *keys;
};
extern const struct schema_group schema_groups[];

/* A table and the struct that it fills. */
struct schema_part {
	const struct bf_key *keys;
	void *to;
};

/*
 * Reads a group (NULL: nothing is given) by tables whose keys are its keys: fills the structs, tells unknown keys and
 * values that do not fit.  `what` names the group in messages: metric "flow".  A key with a fault is left as if it
 * were not given; texts are copied to the arena, nodes point into the tree.
 * True when nothing was wrong.
 */
bool schema_read(const char *what, const struct tree *group, const struct schema_part *parts, size_t n_parts,
	struct arena *arena, struct faults *faults);

/* A fault about a key of the group, at the key; about the group itself when the key is not there. */
void schema_fault(struct faults *faults, const struct tree *group, const char *key, const char *hint,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
