/*
 * A Sparkplug node on a scripted broker, in a time of its own, with real report, roster, boards, intake and outbox. One
 * stage a test program.
 */
#ifndef TESTS_SPARKPLUG_STAGE_H
#define TESTS_SPARKPLUG_STAGE_H

#include "model/order.h"
#include "ship/sparkplug.h"
#include "virtual_clock.h"

#define SECOND   (1000000 * (int64_t)1)
#define SAID_MAX 3000

enum { HEAT, METER, FAR, N_DEVICES };
enum { SETPOINT, COUNT, POWER, DEEP, N_METRICS };
#define CROWD_MAX 100

enum said_kind { SAID_OPEN, SAID_SUBSCRIBE, SAID_PUBLISH, SAID_CLOSE, SAID_FORGET };

/* What the node did, in its order. */
struct said {
	enum said_kind kind;
	char topic[96]; /* of OPEN the host */
	int qos, id;
	bool retain, orderly;
	uint8_t bytes[4000];
	size_t n;
};

struct scripted_mqtt {
	struct uplink uplink;
	/* script */
	bool answers;      /* CONNACK comes with the next step */
	bool grants;       /* and the word on each subscription */
	int reason;        /* of these */
	bool full;         /* the socket takes nothing */
	bool fills;        /* … once one message was handed over */
	int publish_error; /* of each publish */
	uint32_t maximum_packet;
	/* what happened */
	struct uplink_target target;
	uint8_t will[64];
	char will_topic[96];
	bool open, active;
	struct said said[SAID_MAX];
	size_t n_said, n_granted;
	int last_id;
};

extern struct scripted_mqtt mqtt;
extern struct sparkplug *sparkplug;
extern struct plan plan;
extern struct plan_broker broker;
extern struct outbox *outbox;
extern struct sparkplug_count count;

/* Orders that were given to wires, and what the taker says. */
extern uint32_t ordered;
extern struct bf_value ordered_value;
extern unsigned n_ordered;
extern int order_rc;

/* Up to a node that was not stepped. */
void begin(const char *host, size_t n_endpoints, int protocol);
void end(void);

/* Before begin: that many more devices, x/00 and so on, with a metric each; 0 = none again. */
void crowd(size_t n);

/* The node is made anew, as a gateway that starts again would; what waits is kept. */
void again(void);

/* One step; the next wanted instant. */
int64_t step(void);
void run(int64_t us);

/* Until it is alive: connected, granted, born. */
void up(void);
void lose(void);
void hear(const char *topic, const void *bytes, size_t n, bool retained);

/* The payload of Node Control/Rebirth = true. */
extern const uint8_t rebirth[28];

/* What wires tell. */
void comes(uint32_t device, bool online);
void reads(uint32_t metric, struct bf_value value);
void turns_bad(uint32_t metric, enum quality quality);
struct bf_value number(int64_t value);
struct bf_value real(double value);

/* Records that are not done. */
uint64_t waiting(void);

/* The write of a metric is over: the device shows this. */
void written(uint32_t metric, struct bf_value value);

/* The nth message on a topic that ends so, from 0; NULL = not said. */
const struct said *published(const char *ending, unsigned nth);
unsigned n_published(const char *ending);
size_t index_of(const struct said *said);

/* Fields of a payload, by a walk of its own.  -1 = none. */
int64_t seq_of(const struct said *said);
unsigned n_metrics_of(const struct said *said);
/* Of the nth metric: a number field (2 alias, 3 time, 4 datatype, 5 historical, 7 null, 10 to 13 values, of doubles
 * their number); the name; the quality. */
double field_of(const struct said *said, unsigned metric, unsigned field);
const char *name_of(const struct said *said, unsigned metric);
double quality_of(const struct said *said, unsigned metric);

#endif
