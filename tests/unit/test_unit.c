/*
 * Units: the class that follows from one, and how Home Assistant writes it.
 */
#include "model/unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *unit, const char *name, const char *class, const char *state_class)
{
	enum unit_class found = unit_class_of(unit, name);
	const char *word = unit_class_word(found);
	if (class)
		assert_string_equal(word, class);
	else
		assert_null(word);
	assert_string_equal(unit_state_class(found, name, false), state_class);
}

static void test_by_the_unit(void **state)
{
	(void)state;
	expect("°C", "flow", "temperature", "measurement");
	expect("W", "power", "power", "measurement");
	expect("kWp", "power", NULL, "measurement");
	expect("VA", "a", "apparent_power", "measurement");
	expect("kVA", "a", NULL, "measurement");
	expect("var", "a", "reactive_power", "measurement");
	expect("kWh", "import_energy", "energy", "total_increasing");
	expect("kWh", "net", "energy", "total");
	expect("mS/cm", "a", "conductivity", "measurement");
	expect("°", "wind_direction", NULL, "measurement");
	expect("dBm", "a", "signal_strength", "measurement");
	expect("mg", "a", "weight", "measurement");
	expect("furlong", "a", NULL, "measurement");
}

static void test_by_the_name(void **state)
{
	(void)state;
	expect("%", "humidity", "humidity", "measurement");
	expect("%", "Relative_Humidity", "humidity", "measurement");
	expect("%", "soc", "battery", "measurement");
	expect("%", "valve", NULL, "measurement");
	expect("m³", "gas_volume", "gas", "total");
	expect("m³", "water_counter", "water", "total_increasing");
	expect("L", "gas", "volume", "total"); /* older versions have gas in m³ and ft³ only */
	expect("mL", "water", "volume", "total");
	expect("ppm", "co2", "carbon_dioxide", "measurement");
	expect("ppm", "co", "carbon_monoxide", "measurement");
	expect("ppm", "methane", NULL, "measurement");
	expect("µg/m³", "pm2_5", "pm25", "measurement");
	expect("µg/m³", "pm1", "pm1", "measurement");
	expect("µg/m³", "pm10", "pm10", "measurement");
	expect("K", "supply_return_diff", NULL, "measurement");
	expect("K", "colour", "temperature", "measurement");
	expect("mm", "rain_today", "precipitation", "measurement");
	expect("hPa", "barometer", "atmospheric_pressure", "measurement");
	expect("bar", "barrel", "pressure", "measurement");
	expect(NULL, "ph", "ph", "measurement");
	expect(NULL, "power_factor", "power_factor", "measurement");
	expect(NULL, "phase", NULL, "measurement");
}

static void test_monotonic(void **state)
{
	(void)state;
	assert_string_equal(unit_state_class(UNIT_ENERGY, "net", true), "total_increasing");
	assert_string_equal(unit_state_class(UNIT_NONE, "pulses", true), "total_increasing");
	assert_string_equal(unit_state_class(UNIT_DURATION, "hours", true), "total_increasing");
	assert_string_equal(unit_state_class(UNIT_POWER, "power", true), "measurement");
}

static void test_better(void **state)
{
	(void)state;
	assert_null(unit_better("kWh"));
	assert_null(unit_better("rpm"));
	assert_string_equal(unit_better("Kwh"), "kWh");
	assert_string_equal(unit_better("degc"), "°C");
	assert_string_equal(unit_better("μg/m³"), "µg/m³");
	assert_string_equal(unit_better("ampere"), "A");
}

/* Each class has its word: the texts and the enum are in one order. */
static void test_words(void **state)
{
	(void)state;
	assert_null(unit_class_word(UNIT_NONE));
	assert_string_equal(unit_class_word(UNIT_TEMPERATURE), "temperature");
	assert_string_equal(unit_class_word(UNIT_VOC_PARTS), "volatile_organic_compounds_parts");
	assert_string_equal(unit_class_word(UNIT_AQI), "aqi");
	assert_string_equal(unit_class_word(UNIT_WIND_SPEED), "wind_speed");
	assert_string_equal(unit_class_word(UNIT_WEIGHT), "weight");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_the_unit),
		cmocka_unit_test(test_by_the_name),
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_better),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
