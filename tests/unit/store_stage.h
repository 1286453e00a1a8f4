/*
 * Outbox, store and journal together in virtual time, in a folder of their own, beside a model that knows what has
 * become of each reading.  What is called a broker here takes what the outbox hands over and acknowledges it in order.
 */
#ifndef TESTS_STORE_STAGE_H
#define TESTS_STORE_STAGE_H

#include "ship/outbox_store.h"
#include "ship/store.h"
#include "virtual_clock.h"

#include <sys/resource.h>

#define MS        1000
#define S         ((int64_t)1000000)
#define MODEL_MAX 60000

/* What has become of each reading, by its number. */
struct model {
	int64_t put_us[MODEL_MAX];
	bool acknowledged[MODEL_MAX], seen[MODEL_MAX];
	unsigned n, newest; /* put; highest number seen by the broker since the last (re)connect */
};

struct stage {
	char folder[64], path[96];
	struct plan_buffer buffer;
	struct outbox *outbox;
	struct store *store;
	struct model *model;
	bool connected;
	uint64_t in_flight[64];
	unsigned numbers[64];
	size_t n_in_flight;
	uint32_t random;
};

extern char message_buffer[OUTBOX_MESSAGE_BYTES]; /* for outbox_next */

/* A new folder, opened, with room for 16 MB; stage_clear removes it. */
void stage_set(struct stage *stage, int64_t sync_us, uint32_t seed);
void stage_clear(struct stage *stage);

/* What a kill leaves: the file as it is.  Memory is freed so that the sanitizers see no leak. */
void stage_kill(struct stage *stage);
/* Another process on the same folder, as stage->buffer says. */
void stage_open(struct stage *stage);

/* The store's thread goes on for so long. */
void stage_tick(struct stage *stage, int64_t us);

/* A reading of the model, with that many bytes more; and any message, of which the model knows nothing. */
void stage_put(struct stage *stage, size_t padding);
void stage_put_text(struct stage *stage, const char *topic, const char *payload, bool latest_only);

void stage_connect(struct stage *stage);
void stage_lose(struct stage *stage);

/* The broker gets the next reading, if there is one and fewer than 64 are in flight; it acknowledges its oldest. */
void stage_take(struct stage *stage);
void stage_acknowledge(struct stage *stage);
void stage_take_and_acknowledge(struct stage *stage, unsigned n);

/* Sends all that waits, then: nothing that was put before that instant is missing. */
void stage_audit(struct stage *stage, int64_t lost_after_us);

/* They add up, or the test fails. */
struct outbox_counts stage_counts(struct stage *stage);

/* A number below n. */
unsigned stage_chance(struct stage *stage, unsigned n);

/* No file of this process may grow beyond that; SIGXFSZ must be ignored. */
void stage_limit_files(rlim_t bytes);

#endif
