/*
 * Units and classes.  See unit.h.
 *
 * Why texts in one piece and not arrays of pointers: each pointer in a table costs a relocation of 24 bytes in the
 * program, more than the text itself.
 *
 * Why the name has a say: % may be humidity, charge or moisture.  Names of profiles say which; a name that says nothing
 * gives no class, as a wrong one is worse than none.
 */
#include "model/unit.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* In the order of enum unit_class. */
static const char words[] = "temperature\0humidity\0moisture\0battery\0atmospheric_pressure\0pressure\0power\0"
			    "apparent_power\0reactive_power\0power_factor\0voltage\0current\0frequency\0energy\0"
			    "water\0gas\0volume\0volume_flow_rate\0carbon_dioxide\0carbon_monoxide\0pm1\0pm25\0pm10\0"
			    "volatile_organic_compounds\0volatile_organic_compounds_parts\0illuminance\0irradiance\0"
			    "conductivity\0ph\0aqi\0distance\0precipitation\0precipitation_intensity\0speed\0"
			    "wind_speed\0duration\0signal_strength\0sound_pressure\0weight\0";

/* Units that several classes have, or none: the name decides.  They follow the classes. */
enum unit_family {
	FAMILY_ALONE = UNIT_WEIGHT + 1, /* no unit */
	FAMILY_PERCENT,
	FAMILY_PRESSURE,
	FAMILY_LIQUID,  /* L, gal: water or any volume */
	FAMILY_METERED, /* m³: gas as well */
	FAMILY_PPM,
	FAMILY_PPB,
	FAMILY_DUST,
	FAMILY_LENGTH,
	FAMILY_SPEED,
	FAMILY_DECIBEL,
	FAMILY_KELVIN,
};

/* A unit behind its class.  Those with UNIT_NONE are written so, but too new, or in no class. */
static const struct {
	uint8_t class;
	char unit[8];
} units[] = {{UNIT_TEMPERATURE, "°C"}, {UNIT_TEMPERATURE, "°F"}, {FAMILY_KELVIN, "K"}, {FAMILY_PERCENT, "%"},
	{FAMILY_PRESSURE, "Pa"}, {FAMILY_PRESSURE, "hPa"}, {FAMILY_PRESSURE, "kPa"}, {FAMILY_PRESSURE, "mbar"},
	{FAMILY_PRESSURE, "cbar"}, {FAMILY_PRESSURE, "bar"}, {FAMILY_PRESSURE, "psi"}, {FAMILY_PRESSURE, "inHg"},
	{FAMILY_PRESSURE, "mmHg"}, {UNIT_POWER, "W"}, {UNIT_POWER, "kW"}, {UNIT_POWER, "MW"}, {UNIT_POWER, "GW"},
	{UNIT_POWER, "mW"}, {UNIT_APPARENT_POWER, "VA"}, {UNIT_NONE, "kVA"}, {UNIT_REACTIVE_POWER, "var"},
	{UNIT_NONE, "kvar"}, {UNIT_VOLTAGE, "V"}, {UNIT_VOLTAGE, "mV"}, {UNIT_VOLTAGE, "kV"}, {UNIT_CURRENT, "A"},
	{UNIT_CURRENT, "mA"}, {UNIT_FREQUENCY, "Hz"}, {UNIT_FREQUENCY, "kHz"}, {UNIT_FREQUENCY, "MHz"},
	{UNIT_FREQUENCY, "GHz"}, {UNIT_ENERGY, "Wh"}, {UNIT_ENERGY, "kWh"}, {UNIT_ENERGY, "MWh"}, {UNIT_ENERGY, "GWh"},
	{UNIT_ENERGY, "J"}, {UNIT_ENERGY, "kJ"}, {UNIT_ENERGY, "MJ"}, {UNIT_ENERGY, "GJ"}, {UNIT_ENERGY, "cal"},
	{UNIT_ENERGY, "kcal"}, {UNIT_ENERGY, "Mcal"}, {UNIT_ENERGY, "Gcal"}, {UNIT_NONE, "varh"}, {UNIT_NONE, "kvarh"},
	{FAMILY_METERED, "m³"}, {FAMILY_LIQUID, "L"}, {UNIT_VOLUME, "mL"}, {FAMILY_METERED, "ft³"},
	{FAMILY_METERED, "CCF"}, {FAMILY_LIQUID, "gal"}, {UNIT_VOLUME_FLOW_RATE, "m³/h"},
	{UNIT_VOLUME_FLOW_RATE, "L/min"}, {UNIT_NONE, "L/h"}, {UNIT_NONE, "L/s"}, {FAMILY_PPM, "ppm"},
	{FAMILY_PPB, "ppb"}, {FAMILY_DUST, "µg/m³"}, {UNIT_NONE, "mg/m³"}, {UNIT_ILLUMINANCE, "lx"},
	{UNIT_IRRADIANCE, "W/m²"}, {UNIT_CONDUCTIVITY, "µS/cm"}, {UNIT_CONDUCTIVITY, "mS/cm"},
	{UNIT_CONDUCTIVITY, "S/cm"}, {FAMILY_LENGTH, "mm"}, {FAMILY_LENGTH, "cm"}, {UNIT_DISTANCE, "m"},
	{UNIT_DISTANCE, "km"}, {FAMILY_SPEED, "m/s"}, {FAMILY_SPEED, "km/h"}, {UNIT_PRECIPITATION_INTENSITY, "mm/h"},
	{UNIT_PRECIPITATION_INTENSITY, "mm/d"}, {UNIT_NONE, "°"}, {UNIT_DURATION, "s"}, {UNIT_DURATION, "min"},
	{UNIT_DURATION, "h"}, {UNIT_DURATION, "d"}, {UNIT_DURATION, "ms"}, {FAMILY_DECIBEL, "dB"},
	{UNIT_SIGNAL_STRENGTH, "dBm"}, {UNIT_SOUND_PRESSURE, "dBA"}, {UNIT_WEIGHT, "g"}, {UNIT_WEIGHT, "kg"},
	{UNIT_WEIGHT, "mg"}};

/* A class of a family, and what its metrics' names contain; the first that fits.  "" always does. */
static const struct {
	uint8_t family, class;
	char part[9];
} namings[] = {{FAMILY_ALONE, UNIT_POWER_FACTOR, "factor"}, {FAMILY_ALONE, UNIT_POWER_FACTOR, "cos_phi"},
	{FAMILY_ALONE, UNIT_AQI, "aqi"}, {FAMILY_PERCENT, UNIT_HUMIDITY, "humid"},
	{FAMILY_PERCENT, UNIT_MOISTURE, "moist"}, {FAMILY_PERCENT, UNIT_BATTERY, "batter"},
	{FAMILY_PERCENT, UNIT_BATTERY, "charge"}, {FAMILY_PERCENT, UNIT_POWER_FACTOR, "factor"},
	{FAMILY_PRESSURE, UNIT_ATMOSPHERIC_PRESSURE, "atmos"}, {FAMILY_PRESSURE, UNIT_ATMOSPHERIC_PRESSURE, "baro"},
	{FAMILY_PRESSURE, UNIT_PRESSURE, ""}, {FAMILY_METERED, UNIT_GAS, "gas"}, {FAMILY_METERED, UNIT_WATER, "water"},
	{FAMILY_METERED, UNIT_VOLUME, ""}, {FAMILY_LIQUID, UNIT_WATER, "water"}, {FAMILY_LIQUID, UNIT_VOLUME, ""},
	{FAMILY_PPM, UNIT_CARBON_DIOXIDE, "co2"}, {FAMILY_PPM, UNIT_CARBON_DIOXIDE, "dioxide"},
	{FAMILY_PPM, UNIT_CARBON_MONOXIDE, "monoxid"}, {FAMILY_PPM, UNIT_VOC_PARTS, "voc"},
	{FAMILY_PPB, UNIT_VOC_PARTS, "voc"}, {FAMILY_DUST, UNIT_PM10, "pm10"}, {FAMILY_DUST, UNIT_PM25, "pm2"},
	{FAMILY_DUST, UNIT_VOC, "voc"}, {FAMILY_LENGTH, UNIT_PRECIPITATION, "rain"},
	{FAMILY_LENGTH, UNIT_PRECIPITATION, "precip"}, {FAMILY_LENGTH, UNIT_DISTANCE, ""},
	{FAMILY_SPEED, UNIT_WIND_SPEED, "wind"}, {FAMILY_SPEED, UNIT_SPEED, ""},
	{FAMILY_DECIBEL, UNIT_SIGNAL_STRENGTH, "signal"}, {FAMILY_DECIBEL, UNIT_SIGNAL_STRENGTH, "rssi"},
	{FAMILY_DECIBEL, UNIT_SOUND_PRESSURE, "sound"}, {FAMILY_DECIBEL, UNIT_SOUND_PRESSURE, "noise"},
	{FAMILY_KELVIN, UNIT_NONE, "diff"}, {FAMILY_KELVIN, UNIT_NONE, "delta"}, {FAMILY_KELVIN, UNIT_NONE, "spread"},
	{FAMILY_KELVIN, UNIT_TEMPERATURE, ""}};

/* Names that are short, so they count as a whole only. */
static const struct {
	uint8_t family, class;
	char name[9];
} whole_names[] = {{FAMILY_ALONE, UNIT_PH, "ph"}, {FAMILY_ALONE, UNIT_POWER_FACTOR, "pf"},
	{FAMILY_PERCENT, UNIT_BATTERY, "soc"}, {FAMILY_PERCENT, UNIT_HUMIDITY, "rh"},
	{FAMILY_PPM, UNIT_CARBON_MONOXIDE, "co"}, {FAMILY_DUST, UNIT_PM1, "pm1"}, {FAMILY_DUST, UNIT_PM1, "pm1_0"}};

/* What people write, and behind it what Home Assistant does. */
static const char aliases[] = "C\0°C\0℃\0°C\0degC\0°C\0deg C\0°C\0ºC\0°C\0F\0°F\0℉\0°F\0degF\0°F\0m3\0m³\0m^3\0m³\0"
			      "m3/h\0m³/h\0m^3/h\0m³/h\0W/m2\0W/m²\0W/m^2\0W/m²\0lux\0lx\0percent\0%\0kWp\0kW\0"
			      "μg/m³\0µg/m³\0ug/m3\0µg/m³\0μS/cm\0µS/cm\0uS/cm\0µS/cm\0sec\0s\0volt\0V\0watt\0W\0"
			      "ampere\0A\0";

#define N(array_) (sizeof(array_) / sizeof((array_)[0]))

static bool says(const char *name, const char *part)
{
	return strcasestr(name, part) != NULL;
}

enum unit_class unit_class_of(const char *unit, const char *name)
{
	unsigned found = unit ? UNIT_NONE : FAMILY_ALONE;
	for (size_t i = 0; unit && i < N(units); i++)
		if (strcmp(units[i].unit, unit) == 0)
			found = units[i].class;
	if (found < FAMILY_ALONE)
		return (enum unit_class)found;
	for (size_t i = 0; i < N(whole_names); i++)
		if (whole_names[i].family == found && strcasecmp(whole_names[i].name, name) == 0)
			return (enum unit_class)whole_names[i].class;
	for (size_t i = 0; i < N(namings); i++)
		if (namings[i].family == found && says(name, namings[i].part))
			return (enum unit_class)namings[i].class;
	return UNIT_NONE;
}

const char *unit_class_word(enum unit_class class)
{
	const char *word = words;
	for (unsigned i = UNIT_TEMPERATURE; i < class; i++)
		word += strlen(word) + 1;
	return class == UNIT_NONE ? NULL : word;
}

const char *unit_state_class(enum unit_class class, const char *name, bool monotonic)
{
	static const char increasing[] = "total_increasing";
	switch (class) {
	case UNIT_ENERGY:
	case UNIT_WATER:
	case UNIT_GAS:
	case UNIT_VOLUME: /* of these a measurement is refused */
		return monotonic || says(name, "import") || says(name, "export") || says(name, "counter") ? increasing
													  : "total";
	case UNIT_NONE:
	case UNIT_DISTANCE:
	case UNIT_PRECIPITATION:
	case UNIT_DURATION:
	case UNIT_WEIGHT:
		return monotonic ? increasing : "measurement";
	default:
		return "measurement";
	}
}

const char *unit_better(const char *unit)
{
	const char *nearly = NULL;
	for (size_t i = 0; i < N(units); i++) {
		if (strcmp(unit, units[i].unit) == 0)
			return NULL;
		if (!nearly && strcasecmp(unit, units[i].unit) == 0)
			nearly = units[i].unit;
	}
	for (const char *is = aliases; *is;) {
		const char *better = is + strlen(is) + 1;
		if (strcasecmp(unit, is) == 0)
			return better;
		is = better + strlen(better) + 1;
	}
	return nearly;
}
