/*
 * Waits between attempts and the words about them.  See retry.h.
 *
 * One line when an outage begins, one more for each further fault in it (by its words), reminders at growing intervals,
 * and one line with its length when it ends.
 *
 * In the first minute an attempt follows a failure within a second, so that a broker which is only restarted is missed
 * no longer than it is away; then the waits double.  They double at once with a broker that takes connections and drops
 * them: the minute counts from the last connection that was stable, and those that were not count as failures.
 */
#include "ship/retry.h"
#include "base/hash.h"
#include "base/log.h"

#include <stdio.h>

#define STABLE_US        (10 * (int64_t)1000000)
#define SHORT_LIFE_US    (10 * (int64_t)1000000)
#define NEXT_ENDPOINT_US 200000
#define EAGER_US         (60 * (int64_t)1000000) /* most brokers that go are back within that: restarts, updates */

void retry_init(struct retry *retry, const struct plan_broker *broker, const char *who, uint64_t seed)
{
	*retry = (struct retry){
		.broker = broker,
		.who = who,
		.quick = {.first_us = 800000, .cap_us = 15000000, .jitter_percent = 50, .seed = seed},
		.slow = {.first_us = 4000000, .cap_us = 30000000, .jitter_percent = 50, .seed = ~seed},
	};
}

void retry_connected(struct retry *retry, int64_t now_us)
{
	const char *url = retry_endpoint(retry)->url;
	int64_t lasted_us;
	uint64_t n;
	bool was_out = retry->outage.since_us != 0;
	if (complaint_clear(&retry->outage, now_us, &lasted_us, &n)) {
		char length[LOG_LENGTH_SIZE];
		n += !retry->was_connected; /* the loss that began it was no attempt; the one that succeeded is */
		log_about(LOG_LEVEL_NOTICE, &(struct log_about){.broker = url},
			"%sbroker %s is %s after %s, %llu attempt%s", retry->who, url,
			retry->ever_connected ? "back" : "there", log_length(lasted_us, length), (unsigned long long)n,
			n == 1 ? "" : "s");
	} else if (!was_out && !retry->looks) {
		log_about(
			LOG_LEVEL_INFO, &(struct log_about){.broker = url}, "%sbroker %s: connected", retry->who, url);
	}
	retry->ever_connected = true;
	retry->looks = false;
	retry->connected_at_us = now_us;
	retry->told = 0;
}

void retry_moved(struct retry *retry, int64_t now_us)
{
	retry->endpoint = 0;
	retry->n_failed = 0;
	retry->next_at_us = now_us;
}

/* To the next endpoint, soon; after the last one with a wait. */
static void retry_turn(struct retry *retry, struct backoff *wait, int64_t now_us)
{
	retry->endpoint = (retry->endpoint + 1) % retry->broker->n_endpoints;
	bool round_over = ++retry->n_failed >= retry->broker->n_endpoints;
	if (round_over)
		retry->n_failed = 0;
	retry->next_at_us = now_us + (round_over ? backoff_next(wait) : NEXT_ENDPOINT_US);
}

void retry_next(struct retry *retry, int64_t now_us)
{
	if (now_us - retry->connected_at_us >= STABLE_US)
		backoff_reset(&retry->quick);
	retry->looks = true;
	retry_turn(retry, &retry->quick, now_us);
}

void retry_hurry(struct retry *retry)
{
	backoff_reset(&retry->quick);
}

static bool retry_is_slow(enum uplink_fault fault)
{
	return fault == UPLINK_AUTH || fault == UPLINK_CLIENT_ID || fault == UPLINK_VERSION ||
	       fault == UPLINK_TAKEN_OVER;
}

/*
 * Is the broker that was lost the one to try first?  One that has served well and ended the connection most likely is
 * only restarted.  One that fell silent would be waited for once more, and one that takes connections and drops them
 * would be gone back to for ever.  With a client id that is taken over every broker is as good.
 */
static bool retry_stays(enum uplink_fault fault, bool connected, bool stable)
{
	if (fault == UPLINK_TAKEN_OVER)
		return connected;
	return stable && (fault == UPLINK_CLOSED || fault == UPLINK_PROTOCOL);
}

static void retry_tell(struct retry *retry, enum uplink_fault fault, const char *what, bool connected, int64_t now_us)
{
	bool due = complaint_raise(&retry->outage, now_us);
	if (retry->outage.count == 1)
		retry->was_connected = connected;
	uint64_t bit = UINT64_C(1) << hash_fold(hash_text(what)) % 64;
	if (!due && (!retry->outage.told || (retry->told & bit)))
		return;
	retry->told |= bit;
	bool act = retry_is_slow(fault) || fault == UPLINK_SETUP || fault == UPLINK_TLS;
	const char *hint = "";
	if (retry->short_lives >= 3)
		hint = "; if another client uses the same client id, each pushes the other out";
	const char *url = retry_endpoint(retry)->url;
	log_about(act ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, &(struct log_about){.broker = url},
		"%sbroker %s: %s%s; trying again, readings wait%s", retry->who, url,
		connected ? "connection lost: " : "", what, hint);
}

void retry_failed(struct retry *retry, enum uplink_fault fault, const char *what, bool connected, int64_t now_us)
{
	int64_t lived_us = now_us - retry->connected_at_us;
	bool stable = connected && lived_us >= STABLE_US;
	if (stable) {
		backoff_reset(&retry->quick);
		backoff_reset(&retry->slow);
		retry->troubled = false;
		retry->n_failed = 0;
	}
	if (!retry->troubled)
		retry->troubled_since_us = now_us;
	retry->troubled = true;
	if (!connected && now_us - retry->troubled_since_us < EAGER_US)
		backoff_reset(&retry->quick);
	if (connected)
		retry->short_lives = fault == UPLINK_CLOSED && lived_us < SHORT_LIFE_US ? retry->short_lives + 1 : 0;
	retry_tell(retry, fault, what, connected, now_us);
	struct backoff *wait = retry_is_slow(fault) ? &retry->slow : &retry->quick;
	if (retry_stays(fault, connected, stable))
		retry->next_at_us = now_us + backoff_next(wait);
	else
		retry_turn(retry, wait, now_us);
}
