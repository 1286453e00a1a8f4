/* Modules for test_module and test_registry: a sound one, and one for each way of not being one.  VARIANT says which.
 */
#include "sdk/check.h"
#include "sdk/driver.h"

#include <errno.h>

#define GOOD     0
#define OLD      1 /* of another ABI */
#define NOTHING  2 /* no symbol */
#define FUNCTION 3 /* the symbol is a function */
#define SMALL    4 /* the symbol is smaller than a driver */
#define UNNAMED  5
#define MUTE     6  /* without find */
#define ENDLESS  7  /* a table without its end */
#define OUTSIDE  8  /* a key beside its struct */
#define STRANGER 9  /* calls what no program has */
#define CLASH    10 /* of a name that is built in */

#if VARIANT == FUNCTION
unsigned bf_driver(void);
unsigned bf_driver(void)
{
	return BF_DRIVER_ABI;
}
#elif VARIANT == SMALL
extern const unsigned bf_driver;
const unsigned bf_driver = BF_DRIVER_ABI;
#elif VARIANT == NOTHING
extern const unsigned bf_drivers;
const unsigned bf_drivers = BF_DRIVER_ABI;
#else

struct keys {
	int level;
};

static const struct bf_key none[] = {{0}};
static const struct bf_key keys[] = {
	{"level", BF_KEY_INT, VARIANT == OUTSIDE ? sizeof(struct keys) : offsetof(struct keys, level), 0, 9, "1", NULL,
		0, "How high"},
#if VARIANT == ENDLESS
	{"\x7f", BF_KEY_INT, 0, 0, 0, NULL, NULL, 0, "What happens to lie behind"},
#endif
	{0},
};

static int shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	(void)device;
	(void)kind;
	(void)metric;
	(void)ret_complaint;
	*ret_shape = (struct bf_shape){.type = BF_TYPE_U8};
	return 0;
}

static size_t longest(const struct bf_device *device)
{
	(void)device;
	return 1;
}

static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	(void)device;
	(void)n;
	(void)body;
	*ret_found = (struct bf_found){1, {0, input, 1}};
	return BF_FIND_MESSAGE;
}

#if VARIANT == STRANGER
uint32_t bf_nobody_has_this(const uint8_t *bytes);
#endif

static int value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)device;
	(void)metric;
	(void)index;
	(void)text;
	*ret_value = (struct bf_value){.kind = BF_UNSIGNED, .u = message->bytes[0]};
#if VARIANT == STRANGER
	ret_value->u = bf_nobody_has_this(message->bytes);
#endif
	return 0;
}

BF_DRIVER(variant) = {
	.abi = VARIANT == OLD ? BF_DRIVER_ABI - 1 : BF_DRIVER_ABI,
	.name = VARIANT == UNNAMED ? "two words"
		: VARIANT == CLASH ? "modbus"
				   : "tide",
	.summary = "A driver of a test",
	.way = BF_WAY_STREAM,
	.device_keys = none,
	.metric_keys = keys,
	.metric_size = sizeof(struct keys),
	.shape = shape,
	.longest = longest,
	.find = VARIANT == MUTE ? NULL : find,
	.value = value,
};
#endif
