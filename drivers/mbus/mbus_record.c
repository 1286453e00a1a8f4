/*
 * Records of M-Bus.  See mbus_record.h.
 *
 * A record is a DIF with up to ten extensions (what kind of data, of which storage, tariff and subunit), a VIF with up
 * to ten (what it measures and with which power of ten), and the data.  The tables here are those of EN 13757-3, of
 * which the quantities are given that meters send and people read; a value whose VIF is in none of them can still be
 * read by its number.  Debian has no libmbus, and that of rscada prints XML, where these tables are its smaller part.
 *
 * Invariant: no byte is looked at that does not lie within what is left, and each record takes at least one.
 */
#include "mbus_record.h"

#include <errno.h>

#define MORE       0x80 /* an extension follows */
#define CODE       0x7F
#define MAKERS     0x7F /* what follows is the maker's own */
#define EXTENSIONS MBUS_VIFE_MAX

enum table { PRIMARY, EXTENSION_FB, EXTENSION_FD };

/* Codes from `code` on, each with one power of ten more than that before it. */
struct code {
	enum table table;
	uint8_t code, n;
	enum mbus_quantity quantity;
	int power, factor, divisor;
};

/* clang-format off */
static const struct code codes[] = {
	{PRIMARY, 0x00, 8, MBUS_ENERGY, -3, 1, 1},            /* Wh */
	{PRIMARY, 0x08, 8, MBUS_ENERGY_JOULE, 0, 1, 1},       /* J */
	{PRIMARY, 0x10, 8, MBUS_VOLUME, -6, 1, 1},            /* m³ */
	{PRIMARY, 0x18, 8, MBUS_MASS, -3, 1, 1},              /* kg */
	{PRIMARY, 0x20, 1, MBUS_ON_TIME, 0, 1, 3600},         /* h, from seconds, minutes, hours, days */
	{PRIMARY, 0x21, 1, MBUS_ON_TIME, 0, 1, 60},
	{PRIMARY, 0x22, 1, MBUS_ON_TIME, 0, 1, 1},
	{PRIMARY, 0x23, 1, MBUS_ON_TIME, 0, 24, 1},
	{PRIMARY, 0x24, 1, MBUS_OPERATING_TIME, 0, 1, 3600},
	{PRIMARY, 0x25, 1, MBUS_OPERATING_TIME, 0, 1, 60},
	{PRIMARY, 0x26, 1, MBUS_OPERATING_TIME, 0, 1, 1},
	{PRIMARY, 0x27, 1, MBUS_OPERATING_TIME, 0, 24, 1},
	{PRIMARY, 0x28, 8, MBUS_POWER, -3, 1, 1},             /* W */
	{PRIMARY, 0x30, 8, MBUS_POWER_JOULE, 0, 1, 1},        /* J/h */
	{PRIMARY, 0x38, 8, MBUS_VOLUME_FLOW, -6, 1, 1},       /* m³/h, also from m³/min and m³/s */
	{PRIMARY, 0x40, 8, MBUS_VOLUME_FLOW, -7, 60, 1},
	{PRIMARY, 0x48, 8, MBUS_VOLUME_FLOW, -9, 3600, 1},
	{PRIMARY, 0x50, 8, MBUS_MASS_FLOW, -3, 1, 1},         /* kg/h */
	{PRIMARY, 0x58, 4, MBUS_FLOW_TEMPERATURE, -3, 1, 1},  /* °C */
	{PRIMARY, 0x5C, 4, MBUS_RETURN_TEMPERATURE, -3, 1, 1},
	{PRIMARY, 0x60, 4, MBUS_TEMPERATURE_DIFFERENCE, -3, 1, 1}, /* K */
	{PRIMARY, 0x64, 4, MBUS_TEMPERATURE, -3, 1, 1},
	{PRIMARY, 0x68, 4, MBUS_PRESSURE, -3, 1, 1},          /* bar */
	{PRIMARY, 0x6C, 1, MBUS_DATE, 0, 1, 1},
	{PRIMARY, 0x6D, 1, MBUS_DATE_TIME, 0, 1, 1},
	{PRIMARY, 0x6E, 1, MBUS_HCA, 0, 1, 1},
	{PRIMARY, 0x70, 1, MBUS_AVERAGING_TIME, 0, 1, 1},     /* s */
	{PRIMARY, 0x71, 1, MBUS_AVERAGING_TIME, 0, 60, 1},
	{PRIMARY, 0x72, 1, MBUS_AVERAGING_TIME, 0, 3600, 1},
	{PRIMARY, 0x73, 1, MBUS_AVERAGING_TIME, 0, 86400, 1},
	{PRIMARY, 0x74, 1, MBUS_ACTUALITY_TIME, 0, 1, 1},
	{PRIMARY, 0x75, 1, MBUS_ACTUALITY_TIME, 0, 60, 1},
	{PRIMARY, 0x76, 1, MBUS_ACTUALITY_TIME, 0, 3600, 1},
	{PRIMARY, 0x77, 1, MBUS_ACTUALITY_TIME, 0, 86400, 1},
	{PRIMARY, 0x78, 1, MBUS_FABRICATION_NUMBER, 0, 1, 1},
	{PRIMARY, 0x79, 1, MBUS_IDENTIFICATION, 0, 1, 1},
	{EXTENSION_FB, 0x00, 2, MBUS_ENERGY, 5, 1, 1},        /* in MWh */
	{EXTENSION_FB, 0x08, 2, MBUS_ENERGY_JOULE, 8, 1, 1},  /* in GJ */
	{EXTENSION_FB, 0x10, 2, MBUS_VOLUME, 2, 1, 1},
	{EXTENSION_FB, 0x18, 2, MBUS_MASS, 5, 1, 1},          /* in t */
	{EXTENSION_FB, 0x1A, 2, MBUS_HUMIDITY, -1, 1, 1},     /* % */
	{EXTENSION_FB, 0x28, 2, MBUS_POWER, 5, 1, 1},         /* in MW */
	{EXTENSION_FB, 0x2C, 4, MBUS_FREQUENCY, -3, 1, 1},    /* Hz */
	{EXTENSION_FD, 0x10, 1, MBUS_LOCATION, 0, 1, 1},
	{EXTENSION_FD, 0x11, 1, MBUS_CUSTOMER, 0, 1, 1},
	{EXTENSION_FD, 0x17, 1, MBUS_ERROR_FLAGS, 0, 1, 1},
	{EXTENSION_FD, 0x1A, 1, MBUS_DIGITAL_OUTPUT, 0, 1, 1},
	{EXTENSION_FD, 0x1B, 1, MBUS_DIGITAL_INPUT, 0, 1, 1},
	{EXTENSION_FD, 0x3A, 1, MBUS_COUNT, 0, 1, 1},         /* without a unit */
	{EXTENSION_FD, 0x40, 16, MBUS_VOLTAGE, -9, 1, 1},     /* V */
	{EXTENSION_FD, 0x50, 16, MBUS_CURRENT, -12, 1, 1},    /* A */
	{EXTENSION_FD, 0x74, 1, MBUS_BATTERY_DAYS, 0, 1, 1},
};
/* clang-format on */

static int take(struct mbus_walk *walk, uint8_t *ret_byte)
{
	if (walk->left == 0)
		return -EBADMSG;
	*ret_byte = *walk->at++;
	walk->left--;
	return 0;
}

/* n bytes that are stepped over; NULL when there are not so many. */
static const uint8_t *run(struct mbus_walk *walk, size_t n)
{
	const uint8_t *at = walk->at;
	if (n > walk->left)
		return NULL;
	walk->at += n;
	walk->left -= n;
	return at;
}

static void look_up(enum table table, uint8_t code, struct mbus_record *record)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		const struct code *row = &codes[i];
		if (row->table != table || code < row->code || code >= row->code + row->n)
			continue;
		record->quantity = row->quantity;
		record->power = row->power + code - row->code;
		record->factor = row->factor;
		record->divisor = row->divisor;
	}
}

/* Behind the DIF: four bits of storage, two of tariff, one of subunit in each byte, the lowest first. */
static int extensions_of_dif(struct mbus_walk *walk, uint8_t dif, struct mbus_record *record)
{
	record->function = (enum mbus_function)(dif >> 4 & 3);
	record->storage = dif >> 6 & 1;
	uint8_t byte = dif;
	for (unsigned i = 0; byte & MORE; i++) {
		if (i == EXTENSIONS || take(walk, &byte) < 0)
			return -EBADMSG;
		record->storage |= (uint64_t)(byte & 0x0F) << (1 + 4 * i);
		record->tariff |= (uint32_t)(byte >> 4 & 3) << 2 * i;
		record->subunit |= (uint32_t)(byte >> 6 & 1) << i;
	}
	return 0;
}

/* What a byte behind the VIF says of the value: another power of ten, nothing, or something that is kept. */
static void modify(struct mbus_record *record, uint8_t code, bool by_maker)
{
	if (by_maker || (code != 0 && (code < 0x70 || code > 0x77) && code != 0x7D))
		record->vife[record->n_vife++] = code;
	else if (code != 0)
		record->power += code == 0x7D ? 3 : code - 0x76;
}

static int information(struct mbus_walk *walk, struct mbus_record *record)
{
	uint8_t vif, byte, length;
	if (take(walk, &vif) < 0)
		return -EBADMSG;
	byte = vif;
	if (vif == 0xFB || vif == 0xFD) {
		if (take(walk, &byte) < 0)
			return -EBADMSG;
		look_up(vif == 0xFB ? EXTENSION_FB : EXTENSION_FD, byte & CODE, record);
	} else if ((vif & CODE) == 0x7C) {
		if (take(walk, &length) < 0 || !(record->label = run(walk, length)))
			return -EBADMSG;
		record->n_label = length;
		record->quantity = MBUS_LABEL;
	} else {
		look_up(PRIMARY, vif & CODE, record);
	}
	bool by_maker = (vif & CODE) == MAKERS;
	for (unsigned i = 0; byte & MORE; i++) {
		if (i == EXTENSIONS || take(walk, &byte) < 0)
			return -EBADMSG;
		modify(record, byte & CODE, by_maker);
		by_maker = by_maker || (byte & CODE) == MAKERS;
	}
	return 0;
}

/* Data that say their own length. */
static int variable(struct mbus_walk *walk, struct mbus_record *record)
{
	uint8_t length;
	if (take(walk, &length) < 0 || length >= 0xF0)
		return -EBADMSG;
	record->kind = length < 0xC0 ? MBUS_TEXT : length < 0xE0 ? MBUS_BCD : MBUS_INTEGER;
	record->negative = length >= 0xD0 && length < 0xE0;
	record->n = length < 0xC0 ? length : length & 0x0F;
	return 0;
}

int mbus_record_next(struct mbus_walk *walk, struct mbus_record *ret_record)
{
	static const uint8_t sizes[] = {0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6};
	static const enum mbus_data kinds[] = {MBUS_NOTHING, MBUS_INTEGER, MBUS_INTEGER, MBUS_INTEGER, MBUS_INTEGER,
		MBUS_REAL, MBUS_INTEGER, MBUS_INTEGER, MBUS_NOTHING, MBUS_BCD, MBUS_BCD, MBUS_BCD, MBUS_BCD, MBUS_TEXT,
		MBUS_BCD};
	struct mbus_record record = {.quantity = MBUS_UNKNOWN, .factor = 1, .divisor = 1};
	uint8_t dif;
	do {
		if (take(walk, &dif) < 0)
			return 0;
	} while (dif == 0x2F); /* fills up */
	unsigned field = dif & 0x0F;
	if (field == 0x0F) {
		walk->more = dif == 0x1F;
		walk->left = 0;
		return dif == 0x0F || dif == 0x1F ? 0 : -EBADMSG;
	}
	record.n = sizes[field];
	record.kind = kinds[field];
	if (extensions_of_dif(walk, dif, &record) < 0 || information(walk, &record) < 0 ||
		(field == 0x0D && variable(walk, &record) < 0) || !(record.data = run(walk, record.n)))
		return -EBADMSG;
	*ret_record = record;
	return 1;
}
