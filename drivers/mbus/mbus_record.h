/*
 * The records of an M-Bus telegram with variable data (EN 13757-3): what each of them measures, and where its data lie.
 * Pure; any thread.
 */
#ifndef MBUS_RECORD_H
#define MBUS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the key's choices, MBUS_QUANTITIES. */
enum mbus_quantity {
	MBUS_ENERGY,
	MBUS_ENERGY_JOULE,
	MBUS_VOLUME,
	MBUS_MASS,
	MBUS_POWER,
	MBUS_POWER_JOULE,
	MBUS_VOLUME_FLOW,
	MBUS_MASS_FLOW,
	MBUS_FLOW_TEMPERATURE,
	MBUS_RETURN_TEMPERATURE,
	MBUS_TEMPERATURE_DIFFERENCE,
	MBUS_TEMPERATURE,
	MBUS_PRESSURE,
	MBUS_HUMIDITY,
	MBUS_VOLTAGE,
	MBUS_CURRENT,
	MBUS_FREQUENCY,
	MBUS_HCA,
	MBUS_COUNT,
	MBUS_ON_TIME,
	MBUS_OPERATING_TIME,
	MBUS_AVERAGING_TIME,
	MBUS_ACTUALITY_TIME,
	MBUS_BATTERY_DAYS,
	MBUS_DATE,
	MBUS_DATE_TIME,
	MBUS_FABRICATION_NUMBER,
	MBUS_IDENTIFICATION,
	MBUS_LOCATION,
	MBUS_CUSTOMER,
	MBUS_ERROR_FLAGS,
	MBUS_DIGITAL_OUTPUT,
	MBUS_DIGITAL_INPUT,
	MBUS_LABEL,   /* the meter names it itself, in a text */
	MBUS_UNKNOWN, /* the maker's own, or of no table that is here */
};
#define MBUS_QUANTITIES                                                                                                \
	"energy|energy_joule|volume|mass|power|power_joule|volume_flow|mass_flow|flow_temperature|return_temperature|" \
	"temperature_difference|temperature|pressure|humidity|voltage|current|frequency|hca|count|on_time|"            \
	"operating_time|averaging_time|actuality_time|battery_days|date|date_time|fabrication_number|identification|"  \
	"location|customer|error_flags|digital_output|digital_input"

/* In the order of the key's choices: the bits of the DIF. */
enum mbus_function { MBUS_INSTANT, MBUS_MAX, MBUS_MIN, MBUS_ERROR };

/* What the data are. */
enum mbus_data { MBUS_NOTHING, MBUS_INTEGER, MBUS_REAL, MBUS_BCD, MBUS_TEXT };

#define MBUS_VIFE_MAX 10

struct mbus_record {
	enum mbus_quantity quantity;
	enum mbus_function function;
	uint64_t storage;
	uint32_t tariff, subunit;
	/* The value in the unit of its quantity is data * factor / divisor * 10^power. */
	int power, factor, divisor;
	/* What else is said of it, without what only scales: each changes what the value means. */
	uint8_t vife[MBUS_VIFE_MAX];
	size_t n_vife;
	const uint8_t *label; /* the text of MBUS_LABEL, its last character first */
	size_t n_label;
	enum mbus_data kind;
	bool negative; /* of BCD with a length of its own */
	const uint8_t *data;
	size_t n;
};

/* The records that are still to be read. */
struct mbus_walk {
	const uint8_t *at;
	size_t left;
	bool more; /* at the end: the meter has another telegram */
};

/*
 * The next record.  1; 0 at the end, also where the maker's own data begin; -EBADMSG when it does not fit in what is
 * left, or has more extensions than there may be.
 */
int mbus_record_next(struct mbus_walk *walk, struct mbus_record *ret_record);

#endif
