/*
 * Units that Home Assistant would reject.  See compile.h.
 *
 * It compares the unit with a list, exactly, and a sensor with "Kwh" or the wrong micro sign never appears (since
 * 2025.7 as an error): homeassistant/components/sensor/const.py.  A unit that is not in its lists at all is fine: the
 * sensor has no class then.  So only those are told that are nearly one of the list.
 */
#include "app/compile.h"

#include <string.h>
#include <strings.h>

static const char *const units[] = {"°C", "°F", "K", "%", "Pa", "hPa", "kPa", "mbar", "cbar", "bar", "psi", "inHg",
	"mmHg", "W", "kW", "MW", "GW", "mW", "VA", "kVA", "var", "kvar", "V", "mV", "kV", "A", "mA", "Hz", "kHz", "MHz",
	"GHz", "Wh", "kWh", "MWh", "GWh", "J", "kJ", "MJ", "GJ", "cal", "kcal", "Mcal", "Gcal", "varh", "kvarh", "m³",
	"L", "mL", "ft³", "CCF", "gal", "m³/h", "L/min", "L/h", "L/s", "ppm", "ppb", "µg/m³", "mg/m³", "lx", "W/m²",
	"µS/cm", "mS/cm", "S/cm", "mm", "cm", "m", "km", "m/s", "km/h", "mm/h", "mm/d", "°", "s", "min", "h", "d", "ms",
	"dB", "dBm", "dBA", "g", "kg", "mg", NULL};

static const struct {
	const char *is, *better;
} aliases[] = {
	{"C", "°C"},
	{"℃", "°C"},
	{"degC", "°C"},
	{"deg C", "°C"},
	{"ºC", "°C"},
	{"F", "°F"},
	{"℉", "°F"},
	{"degF", "°F"},
	{"m3", "m³"},
	{"m^3", "m³"},
	{"m3/h", "m³/h"},
	{"m^3/h", "m³/h"},
	{"W/m2", "W/m²"},
	{"W/m^2", "W/m²"},
	{"lux", "lx"},
	{"percent", "%"},
	{"kWp", "kW"},
	{"μg/m³", "µg/m³"},
	{"ug/m3", "µg/m³"},
	{"μS/cm", "µS/cm"},
	{"uS/cm", "µS/cm"},
	{"sec", "s"},
	{"volt", "V"},
	{"watt", "W"},
	{"ampere", "A"},
};

const char *compile_unit(const char *unit)
{
	const char *nearly = NULL;
	for (size_t i = 0; units[i]; i++) {
		if (strcmp(unit, units[i]) == 0)
			return NULL;
		if (!nearly && strcasecmp(unit, units[i]) == 0)
			nearly = units[i];
	}
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcasecmp(unit, aliases[i].is) == 0)
			return aliases[i].better;
	return nearly;
}
