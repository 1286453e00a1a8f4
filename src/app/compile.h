/*
 * From the tree of the map to the plan: everything resolved, every mistake told.
 *
 * compile() is the way in; the rest of this header is what its parts, one subject a file, see of each other.
 */
#ifndef APP_COMPILE_H
#define APP_COMPILE_H

#include "app/faults.h"
#include "app/names.h"
#include "app/profile.h"
#include "app/schema.h"
#include "app/tree.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stands in a topic for a text that was refused; no topic that is sound can have it. */
#define COMPILE_NAMELESS "#"

/*
 * Makes the plan of a whole map.  Faults and warnings are added; with a fault the plan is not fit for use, but its
 * arena must be freed all the same.  Nothing of the plan points into the tree, whose arena is freed on the way.
 */
void compile(
	const char *file, const struct tree *root, struct arena *trees, struct faults *faults, struct plan *ret_plan);

/*
 * Makes the plan of a profile on its own: one device, profile/device, with all its metrics, and the probe beside them.
 * True with *ret_probe filled when the profile has one.  As compile() for the rest.
 */
bool compile_profile(
	const struct profile *profile, struct faults *faults, struct plan *ret_plan, struct plan_metric *ret_probe);

/* ---- The parts ---- */

#define DRIVER_DEFAULT "modbus"

struct compile_bus; /* what is known of a bus besides its plan */
struct compile_rule;
struct compile_profile;

enum compile_scope { SCOPE_PORTS, SCOPE_TOPICS, SCOPE_DEVICES, SCOPE_HA_DEVICES, SCOPE_HA_METRICS };

struct compile {
	struct plan *plan;
	struct arena *keep;   /* the plan's */
	struct arena scratch; /* freed at the end */
	struct faults *faults;
	struct names names;

	/* The arrays of the plan while they grow, on the heap; copied to it at the end. */
	struct plan_bus *buses;
	struct plan_device *devices;
	struct plan_metric *metrics;
	size_t buses_size, devices_size, metrics_size;
	const struct tree **device_at; /* where each stands */
	const struct tree **metric_at;
	size_t device_at_size, metric_at_size;

	struct compile_bus *bus_facts;
	size_t bus_facts_size;
	size_t n_named; /* buses of the group `buses`; they come first */

	struct compile_rule *rules;
	size_t n_rules;

	struct compile_profile *profiles; /* those that were looked up */
};

/* Where a device, level or metric stands in the tree of topics. */
struct compile_level {
	const char *path; /* of topics, without the site; "" at the top */
	int64_t every_us;
	unsigned depth;
};

/* A device while its metrics are read. */
struct compile_device {
	uint32_t index;
	const struct map_device *map;
	const struct map_registers *registers; /* NULL = a stream */
	const struct map_stream *stream;       /* NULL = registers */
	struct bf_device seen;                 /* by the driver of a stream */
	const struct bf_driver *driver;
	const void *keys; /* of the driver */
	int64_t every_us;
	bool write_counts; /* `write` of the metric that is read stands in the map, not only in a profile */
};

/* compile.c: an empty plan and what it takes to fill it; then its arrays into its arena, and the rest freed. */
void compile_start(struct compile *compile, const char *file, struct faults *faults, struct plan *plan);
void compile_end(struct compile *compile);

/* Makes room for one more element of a growing array, which is freed at the end of compile(). */
void *compile_grow(void *array, size_t n, size_t *size, size_t element);

void compile_fault(struct compile *compile, const struct tree *group, const char *key, const char *hint,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
void compile_warning(struct compile *compile, const struct tree *group, const char *key, const char *hint,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * The topic text of a level, device or metric: `topic` if given, else its key.  Tells what cannot be one.  NULL when it
 * is no topic text.
 */
const char *compile_topic_text(struct compile *compile, const struct tree *group, const char *topic);

/* Is one of the parts of this topic text one of the words (which end with NULL)?  The word, or NULL. */
const char *compile_reserved(const char *text, const char *const *words);

/*
 * "host:port", "[v6]:port", "host" → its parts; port 0 = must be given.  NULL when all is well, else what is wrong.
 */
const char *compile_host_port(
	const char *text, uint16_t port, struct arena *arena, const char **ret_host, uint16_t *ret_port);

/* A file that the map names, or a credential of systemd, as the plan has it; NULL = none.  A secret one must not be
 * readable by everybody. */
const char *compile_file(
	struct compile *compile, const struct tree *group, const char *key, const char *path, bool secret);

/* compile_page.c: the group `status_page`. */
void compile_page(struct compile *compile, const struct tree *page);

/* compile_broker.c: broker and buffer. */
void compile_broker(struct compile *compile, const struct tree *broker);
void compile_buffer(struct compile *compile, const struct tree *buffer);

/* compile_bus.c: the group `buses`, and the bus of a device (its index; -1 when there is none, which was told). */
void compile_buses(struct compile *compile, const struct tree *buses);
int compile_bus_of(struct compile *compile, const struct tree *device, const char *name);
void compile_bus_lists(struct compile *compile);

/* A device with this profile is on the bus.  When all are known the buses take what their own group does not say. */
void compile_bus_profile(struct compile *compile, uint32_t bus, const struct profile *profile);
void compile_bus_settle(struct compile *compile);
const struct tree *compile_bus_at(const struct compile *compile, uint32_t index); /* the group that tells of it */

/* The driver that the group of a bus, or a device with a port of its own, names; NULL = none. */
const struct bf_driver *compile_bus_driver(const struct compile *compile, int bus);

/* A device with this driver is on the bus (-1: on none).  Tells what can't be together. */
void compile_bus_way(struct compile *compile, int bus, const struct tree *device, const struct bf_driver *driver);

/* compile_driver.c: the driver of a device; one by its name, or the default one after telling that there is none. */
const struct bf_driver *compile_driver_default(void);
const struct bf_driver *compile_driver_named(struct compile *compile, const struct tree *at, const char *name);
const struct bf_driver *compile_driver_of(
	struct compile *compile, const struct tree *device, const struct profile *profile, int bus);

/* The link in the folder that leads to the same file as the port, or NULL. */
const char *compile_by_id(const char *folder, const char *port, struct arena *arena);

/* compile_rules.c: the group `topics`, and what it says of one metric. */
void compile_rules(struct compile *compile, const struct tree *topics);
void compile_delivery(struct compile *compile, const struct tree *at, const struct map_metric *map, const char *topic,
	const char *name, struct plan_delivery *ret_delivery);

/* compile_device.c: the tree under `floors`. */
void compile_floors(struct compile *compile, const struct tree *floors, int64_t every_us);

/* compile_profile.c: the profile of a device, or NULL: it has none, or it can't be had, which was told. */
const struct profile *compile_profile_of(struct compile *compile, const struct tree *device);

/* The device with the quirks of its profile where it says nothing itself. */
const struct tree *compile_profile_defaults(
	struct compile *compile, const struct profile *profile, const struct tree *device);

/* The metrics of the profile, by only, skip and publish of the device. */
void compile_profile_metrics(struct compile *compile, const struct compile_device *into, const struct tree *at,
	const struct profile *profile);

/* Tells keys that are of use with a profile only. */
void compile_profile_missing(struct compile *compile, const struct tree *device);

/* compile_metric.c: one metric, or one for each of its bits. */
void compile_metric(struct compile *compile, const struct compile_device *device, const struct tree *at);

/* compile_register.c: what a metric has that lies in registers.  False when a fault was told. */
bool compile_register(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_register_metric *map, const void *keys, bool sound, struct plan_metric *metric);
struct bf_shape compile_register_shape(struct compile *compile, const struct compile_device *device,
	const struct tree *at, const struct map_register_metric *map);

/* compile_write.c: the group `control`, and `write` of a metric whose values are known. */
void compile_control(struct compile *compile, const struct tree *control);
void compile_write(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_metric *map, struct plan_metric *metric);

/*
 * compile_stream.c: devices that send messages.  Its messages, init and stop (sound: its own keys are); and the shape
 * of one of its metrics (false when a fault was told).
 */
const struct plan_stream *compile_stream_device(struct compile *compile, const struct tree *at,
	const struct bf_driver *driver, const struct map_stream *map, bool sound, struct bf_device *seen);
bool compile_stream_metric(struct compile *compile, const struct compile_device *device, const struct tree *at,
	const struct map_stream_metric *map, const void *keys, bool sound, struct plan_metric *metric);

/* compile_values.c: the keys of a metric that say what its values are: enum, bits, invalid, deadband. */
void compile_enum(struct compile *compile, const struct tree *at, const struct tree *words, struct plan_metric *metric);
void compile_invalid(
	struct compile *compile, const struct tree *at, const struct tree *invalid, struct plan_metric *metric);
bool compile_bit(struct compile *compile, const struct tree *bit, struct plan_metric *metric);
void compile_deadband(
	struct compile *compile, const struct tree *at, const struct map_metric *map, struct plan_metric *metric);
bool compile_is_whole(enum bf_type type); /* integers that are not BCD */

/* compile_homeassistant.c: its group; and, when all is read, what Home Assistant would not take, or takes for one. */
void compile_homeassistant(struct compile *compile, const struct tree *group);
void compile_homeassistant_check(struct compile *compile, const struct tree *group);

/* compile_sparkplug.c: once all devices are known. */
void compile_sparkplug(struct compile *compile, const struct tree *sparkplug);

/* compile_overlap.c: what can only be seen when all is read. */
void compile_topics_check(struct compile *compile);
void compile_addresses_check(struct compile *compile);

/* compile_load.c: once the arrays are in the plan.  Leaves out metrics without a place, so a plan with faults only. */
void compile_load_check(struct compile *compile);

#endif
