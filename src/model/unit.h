/*
 * Units as Home Assistant knows them: how it writes them, and what it calls the thing that is measured.
 *
 * It compares a unit with the list of its device class, exactly, and takes no entity whose unit is not in it (since
 * 2025.7): homeassistant/components/sensor/const.py.  So a class is only said where the unit is in its list, also in
 * that of an older version; a number without a class is shown all the same.
 *
 * Pure; any thread.
 */
#ifndef MODEL_UNIT_H
#define MODEL_UNIT_H

#include <stdbool.h>

enum unit_class {
	UNIT_NONE,
	UNIT_TEMPERATURE,
	UNIT_HUMIDITY,
	UNIT_MOISTURE,
	UNIT_BATTERY,
	UNIT_ATMOSPHERIC_PRESSURE,
	UNIT_PRESSURE,
	UNIT_POWER,
	UNIT_APPARENT_POWER,
	UNIT_REACTIVE_POWER,
	UNIT_POWER_FACTOR,
	UNIT_VOLTAGE,
	UNIT_CURRENT,
	UNIT_FREQUENCY,
	UNIT_ENERGY,
	UNIT_WATER,
	UNIT_GAS,
	UNIT_VOLUME,
	UNIT_VOLUME_FLOW_RATE,
	UNIT_CARBON_DIOXIDE,
	UNIT_CARBON_MONOXIDE,
	UNIT_PM1,
	UNIT_PM25,
	UNIT_PM10,
	UNIT_VOC,
	UNIT_VOC_PARTS,
	UNIT_ILLUMINANCE,
	UNIT_IRRADIANCE,
	UNIT_CONDUCTIVITY,
	UNIT_PH,
	UNIT_AQI,
	UNIT_DISTANCE,
	UNIT_PRECIPITATION,
	UNIT_PRECIPITATION_INTENSITY,
	UNIT_SPEED,
	UNIT_WIND_SPEED,
	UNIT_DURATION,
	UNIT_SIGNAL_STRENGTH,
	UNIT_SOUND_PRESSURE,
	UNIT_WEIGHT,
};

/* The class of a metric by its unit (NULL = none) and, where several have that unit, its name. */
enum unit_class unit_class_of(const char *unit, const char *name);

/* Its word: "temperature"; NULL for UNIT_NONE. */
const char *unit_class_word(enum unit_class class);

/* "measurement", "total" or "total_increasing": whichever the class allows. */
const char *unit_state_class(enum unit_class class, const char *name, bool monotonic);

/* How Home Assistant writes a unit that is nearly one of its lists; NULL when it is one, or is like none. */
const char *unit_better(const char *unit);

#endif
