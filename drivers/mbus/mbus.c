/*
 * The M-Bus driver: heat, water and other meters on the two-wire bus of EN 13757-2, through a level converter.
 *
 * It needs C for its conversation and its records.  The meter is reset (or, by its number, selected), acknowledges with
 * one byte, and is then asked for one telegram after the other, with a bit that toggles, until it says that there are
 * no more.  A telegram's records say themselves what they are (mbus_record.c), so a metric names what is measured, not
 * where it lies; values are told in the base unit of their quantity whatever the meter counts in.
 *
 * Addresses: 1 to 250.  Address 0 is that of a meter that has been given none, and 254 is one that every meter answers;
 * a device without an address is asked at 254, which reaches both where there is one meter.  Where there are several,
 * those without an address are told apart by `secondary`, the number that is printed on them.
 *
 * Telegrams with the old fixed structure (CI 73) and those with the high byte first (CI 76) are passed over.
 * Thread: the device's; the memory counts the records of the telegrams before.
 */
#include "mbus_value.h"
#include "sdk/check.h"
#include "sdk/driver.h"

#include <errno.h>
#include <string.h>

#define START         0x68
#define START_SHORT   0x10
#define STOP          0x16
#define ACKNOWLEDGED  0xE5
#define AROUND        6   /* bytes of a telegram that its length does not count */
#define SHORT         5   /* bytes of a telegram without data */
#define LONGEST       261 /* 255 and what is around them */
#define HEAD          3   /* C, A and CI */
#define HEADER        12  /* identification, manufacturer, version, medium, access, status, signature */
#define TO_ANY        254
#define TO_SELECTED   253
#define ADDRESS_MAX   250
#define C_RESET       0x40
#define C_SELECT      0x53
#define C_ASK         0x5B
#define C_ASK_TOGGLED 0x7B /* the first after a reset */
#define CI_SELECT     0x52
#define CI_VARIABLE   0x72
#define CI_SHORT      0x7A
#define CI_NONE       0x78
#define TELEGRAMS_MAX 16
#define PAUSE_US      50000 /* a meter may want 33 bits of silence: 14 ms at 2400 Bd */
#define SECONDARY     8     /* digits */

enum mbus_header { HEADER_ID, HEADER_MANUFACTURER, HEADER_VERSION, HEADER_MEDIUM, HEADER_ACCESS, HEADER_STATUS };

struct mbus_device {
	const char *secondary;
};

struct mbus_metric {
	int quantity, record, header, storage, tariff, subunit, function, nth, as;
	const char *label;
	struct bf_bytes vife;
};

struct mbus_memory {
	unsigned n_before; /* records of the telegrams before this one */
};

static const struct bf_key device_keys[] = {
	{"secondary", BF_KEY_TEXT, offsetof(struct mbus_device, secondary), 0, 0, NULL, NULL, 0,
		"The meter's identification number of eight digits, to select it by instead of by its address; F "
		"stands "
		"for any digit"},
	{0},
};

static const struct bf_key metric_keys[] = {
	{"quantity", BF_KEY_CHOICE, offsetof(struct mbus_metric, quantity), 0, 0, NULL, MBUS_QUANTITIES, 0,
		"What is measured, told in Wh, J, m³, kg, W, J/h, m³/h, kg/h, °C, K (temperature_difference), bar, %, "
		"V, "
		"A, Hz; on_time and operating_time in h, averaging_time and actuality_time in s"},
	{"storage", BF_KEY_INT, offsetof(struct mbus_metric, storage), 0, 2147483647, "0", NULL, 0,
		"Which of the values that the meter keeps: 0 is the present one"},
	{"tariff", BF_KEY_INT, offsetof(struct mbus_metric, tariff), 0, 1048575, "0", NULL, 0, "Tariff, 0 for all"},
	{"subunit", BF_KEY_INT, offsetof(struct mbus_metric, subunit), 0, 1023, "0", NULL, 0,
		"Part of the device, such as a pulse input"},
	{"function", BF_KEY_CHOICE, offsetof(struct mbus_metric, function), 0, 0, "instant", "instant|max|min|error", 0,
		"The value itself, its maximum, its minimum, or that during an error"},
	{"vife", BF_KEY_BYTES, offsetof(struct mbus_metric, vife), 0, 0, NULL, NULL, 0,
		"Extensions of the VIF that change what is meant, without their highest bits, such as \"3C\" for what "
		"flows backwards"},
	{"nth", BF_KEY_INT, offsetof(struct mbus_metric, nth), 1, 255, "1", NULL, 0,
		"Which of the records of a telegram that are alike"},
	{"label", BF_KEY_TEXT, offsetof(struct mbus_metric, label), 0, 0, NULL, NULL, 0,
		"Instead of quantity: the meter's own name for it, such as \"%RH\""},
	{"record", BF_KEY_INT, offsetof(struct mbus_metric, record), 0, 65535, NULL, NULL, 0,
		"Instead of quantity: the record's number, from 0 and through all telegrams, for what has no quantity"},
	{"header", BF_KEY_CHOICE, offsetof(struct mbus_metric, header), 0, 0, NULL,
		"id|manufacturer|version|medium|access|status", 0,
		"Instead of quantity: what the telegram's header says of the meter"},
	{"type", BF_KEY_CHOICE, offsetof(struct mbus_metric, as), 0, 0, NULL, "number|flags|text|date", 0,
		"How data are read where their quantity does not say it"},
	{0},
};

static int check(const struct bf_device *device, struct bf_complaint *ret_complaint)
{
	const struct mbus_device *keys = device->keys;
	if (device->n_messages > 1) {
		ret_complaint->message = device->messages[1].name;
		return bf_refuse(ret_complaint, NULL, NULL, "is one too many: M-Bus has one kind of message");
	}
	if (device->address > ADDRESS_MAX && device->address != TO_ANY)
		return bf_refuse(ret_complaint, "address",
			"meters have 1 to 250; leave it out where there is one meter only", "is no meter's address");
	if (!keys->secondary)
		return 0;
	if (device->address != 0)
		return bf_refuse(
			ret_complaint, "secondary", "a meter is asked by one of them", "is given beside an address");
	if (strlen(keys->secondary) != SECONDARY || strspn(keys->secondary, "0123456789F") != SECONDARY)
		return bf_refuse(ret_complaint, "secondary", "write all of them, with leading zeros",
			"is no identification number of eight digits");
	return 0;
}

static enum mbus_as as_of(const struct mbus_metric *keys)
{
	if (keys->as != BF_UNSET)
		return (enum mbus_as)keys->as;
	return keys->quantity == BF_UNSET ? MBUS_AS_NUMBER : mbus_value_usual((enum mbus_quantity)keys->quantity);
}

static int shape(const struct bf_device *device, unsigned kind, const void *metric, struct bf_shape *ret_shape,
	struct bf_complaint *ret_complaint)
{
	(void)device;
	(void)kind;
	static const enum bf_type types[] = {BF_TYPE_F64, BF_TYPE_U64, BF_TYPE_STRING, BF_TYPE_STRING};
	const struct mbus_metric *keys = metric;
	int n = (keys->quantity != BF_UNSET) + (keys->record != BF_UNSET) + (keys->header != BF_UNSET) +
		(keys->label != NULL);
	if (n != 1)
		return bf_refuse(ret_complaint, NULL, "give it one of quantity, label, record, header", "%s",
			n ? "has more than one of quantity, label, record, header" : "says nothing of what it reads");
	if (keys->header != BF_UNSET && keys->as != BF_UNSET)
		return bf_refuse(
			ret_complaint, "type", "leave it out", "is given beside a header, whose types are known");
	enum bf_type type = types[as_of(keys)];
	if (keys->header != BF_UNSET)
		type = keys->header == HEADER_ID || keys->header == HEADER_MANUFACTURER ? BF_TYPE_STRING : BF_TYPE_U64;
	*ret_shape = (struct bf_shape){.type = type, .length = type == BF_TYPE_STRING ? BF_STRING_MAX : 0};
	return 0;
}

/* ---- The line ---- */

static size_t longest(const struct bf_device *device)
{
	(void)device;
	return LONGEST;
}

/* Is it the device's?  n bytes of C, A, CI and data. */
static bool is_ours(const struct bf_device *device, const uint8_t *bytes, size_t n)
{
	const struct mbus_device *keys = device->keys;
	char has[SECONDARY + 1];
	if (device->address != 0 && device->address != TO_ANY)
		return bytes[1] == device->address;
	if (!keys->secondary || bytes[2] != CI_VARIABLE || n < HEAD + HEADER)
		return true;
	mbus_value_digits(bytes + HEAD, SECONDARY / 2, has);
	for (size_t i = 0; i < SECONDARY; i++)
		if (keys->secondary[i] != 'F' && keys->secondary[i] != has[i])
			return false;
	return true;
}

/* How much of the input is surely no telegram, when its first byte begins none. */
static enum bf_find skip(const uint8_t *input, size_t n, struct bf_found *ret_found)
{
	size_t at = 1;
	while (at < n && input[at] != START && input[at] != START_SHORT && input[at] != ACKNOWLEDGED)
		at++;
	ret_found->n = at;
	return BF_FIND_SKIP;
}

static enum bf_find find(
	const struct bf_device *device, const uint8_t *input, size_t n, uint8_t *body, struct bf_found *ret_found)
{
	(void)body;
	if (input[0] == ACKNOWLEDGED) {
		*ret_found = (struct bf_found){1, {0, input, 1}};
		return BF_FIND_MESSAGE;
	}
	if (input[0] == START_SHORT) { /* what a converter echoes of our own */
		if (n < SHORT)
			return BF_FIND_MORE;
		if (input[4] != STOP || input[3] != bf_sum8(input + 1, 2))
			return skip(input, n, ret_found);
		ret_found->n = SHORT;
		return BF_FIND_SKIP;
	}
	size_t length = n > 1 ? input[1] : HEAD;
	if (input[0] != START || length < HEAD || (n > 2 && input[2] != length) || (n > 3 && input[3] != START))
		return skip(input, n, ret_found);
	if (n < length + AROUND)
		return BF_FIND_MORE;
	const uint8_t *bytes = input + 4;
	*ret_found = (struct bf_found){length + AROUND, {0, bytes, length}};
	if (bytes[length + 1] != STOP || bytes[length] != bf_sum8(bytes, length))
		return BF_FIND_DAMAGED;
	if ((bytes[0] & 0xCF) != 0x08) /* what a master says */
		return BF_FIND_SKIP;
	return is_ours(device, bytes, length) ? BF_FIND_MESSAGE : BF_FIND_OTHER;
}

/* The records of a telegram; none of an acknowledgement. */
static struct mbus_walk records_of(const struct bf_message *message)
{
	size_t header = HEAD;
	if (message->n < HEAD)
		return (struct mbus_walk){0};
	switch (message->bytes[2]) {
	case CI_VARIABLE:
		header += HEADER;
		break;
	case CI_SHORT:
		header += HEADER - 8;
		break;
	case CI_NONE:
		break;
	default:
		header = message->n;
	}
	if (header > message->n)
		header = message->n;
	return (struct mbus_walk){.at = message->bytes + header, .left = message->n - header};
}

static size_t put_short(uint8_t *to, uint8_t control, uint8_t address)
{
	const uint8_t bytes[SHORT] = {START_SHORT, control, address, (uint8_t)(control + address), STOP};
	memcpy(to, bytes, SHORT);
	return SHORT;
}

static size_t put_select(uint8_t *to, const char *secondary)
{
	uint8_t bytes[] = {
		START, 11, 11, START, C_SELECT, TO_SELECTED, CI_SELECT, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, STOP};
	uint8_t number[SECONDARY / 2] = {0};
	bf_bytes_parse(secondary, number, sizeof(number));
	for (size_t i = 0; i < sizeof(number); i++) /* its lowest digits first */
		bytes[7 + i] = number[sizeof(number) - 1 - i];
	bytes[sizeof(bytes) - 2] = bf_sum8(bytes + 4, 11);
	memcpy(to, bytes, sizeof(bytes));
	return sizeof(bytes);
}

static int ask(const struct bf_device *device, unsigned step, const struct bf_message *answer, struct bf_ask *ret_ask)
{
	const struct mbus_device *keys = device->keys;
	struct mbus_memory *memory = device->memory;
	uint8_t address = keys->secondary ? TO_SELECTED : device->address ? device->address : TO_ANY;
	*ret_ask = (struct bf_ask){.pause_us = PAUSE_US};
	if (step == 0) {
		memory->n_before = 0;
		ret_ask->n = keys->secondary ? put_select(ret_ask->bytes, keys->secondary)
					     : put_short(ret_ask->bytes, C_RESET, address);
		return 1;
	}
	bool acknowledged = answer->bytes[0] == ACKNOWLEDGED;
	if (acknowledged != (step == 1))
		return -EBADMSG;
	if (step > 1) {
		struct mbus_walk walk = records_of(answer);
		struct mbus_record record;
		while (mbus_record_next(&walk, &record) > 0)
			memory->n_before++;
		if (!walk.more || step > TELEGRAMS_MAX)
			return 0;
	}
	ret_ask->n = put_short(ret_ask->bytes, step % 2 ? C_ASK_TOGGLED : C_ASK, address);
	return 1;
}

/* ---- A value ---- */

static int header_value(const struct bf_message *message, enum mbus_header which, char text[static BF_STRING_MAX + 1],
	struct bf_value *ret_value)
{
	const uint8_t *header = message->bytes + HEAD;
	if (message->n < HEAD + HEADER || message->bytes[2] != CI_VARIABLE)
		return -ENOENT;
	*ret_value = (struct bf_value){.kind = BF_UNSIGNED};
	if (which >= HEADER_VERSION) {
		ret_value->u = header[6 + which - HEADER_VERSION];
		return 0;
	}
	size_t n = 3;
	if (which == HEADER_ID)
		n = mbus_value_digits(header, 4, text);
	else
		for (unsigned i = 0; i < 3; i++) /* three letters of five bits */
			text[i] = (char)(64 + ((header[4] | header[5] << 8) >> (10 - 5 * i) & 31));
	*ret_value = (struct bf_value){.kind = BF_TEXT, .text = {text, n}};
	return 0;
}

static bool labelled(const struct mbus_record *record, const char *label)
{
	size_t n = strlen(label);
	if (record->quantity != MBUS_LABEL || record->n_label != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (record->label[n - 1 - i] != (uint8_t)label[i])
			return false;
	return true;
}

static bool is_meant(const struct mbus_record *record, const struct mbus_metric *keys)
{
	if (keys->label ? !labelled(record, keys->label) : (int)record->quantity != keys->quantity)
		return false;
	return (int)record->function == keys->function && record->storage == (uint64_t)keys->storage &&
	       record->tariff == (uint32_t)keys->tariff && record->subunit == (uint32_t)keys->subunit &&
	       record->n_vife == keys->vife.n &&
	       (keys->vife.n == 0 || memcmp(record->vife, keys->vife.at, record->n_vife) == 0);
}

static int value(const struct bf_device *device, const void *metric, unsigned index, const struct bf_message *message,
	char text[static BF_STRING_MAX + 1], struct bf_value *ret_value)
{
	(void)index;
	const struct mbus_metric *keys = metric;
	const struct mbus_memory *memory = device->memory;
	if (keys->header != BF_UNSET)
		return header_value(message, (enum mbus_header)keys->header, text, ret_value);
	struct mbus_walk walk = records_of(message);
	struct mbus_record record;
	int at = (int)memory->n_before, nth = keys->nth;
	for (; mbus_record_next(&walk, &record) > 0; at++)
		if (keys->record != BF_UNSET ? at == keys->record : is_meant(&record, keys) && --nth == 0)
			return mbus_value_of(&record, as_of(keys), text, ret_value);
	return -ENOENT;
}

BF_DRIVER(mbus) = {
	.abi = BF_DRIVER_ABI,
	.name = "mbus",
	.summary = "Wired M-Bus (EN 13757-2 and -3): heat, water, gas and electricity meters",
	.way = BF_WAY_STREAM,
	.device_keys = device_keys,
	.metric_keys = metric_keys,
	.device_size = sizeof(struct mbus_device),
	.metric_size = sizeof(struct mbus_metric),
	.memory_size = sizeof(struct mbus_memory),
	.check = check,
	.shape = shape,
	.longest = longest,
	.find = find,
	.value = value,
	.ask = ask,
};
