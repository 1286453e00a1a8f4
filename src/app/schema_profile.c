/*
 * The tables of a profile, beside those of the map (schema.c): its header, the quirks of its device, its golden
 * vectors.  Its metrics have the grammar of the map's, so they have no table here.
 */
#include "app/schema.h"

#define ROW(struct_, field_) offsetof(struct struct_, field_)

const struct bf_key schema_profile_file[] = {
	{"profile", BF_KEY_NODE, ROW(map_profile_file, profile), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"Whose registers these are, and who says so"},
	{"line", BF_KEY_TEXT, ROW(map_profile_file, line), 0, 0, NULL, NULL, 0,
		"The line that the device comes with, for a bus that says none"},
	{"quirks", BF_KEY_NODE, ROW(map_profile_file, quirks), 0, 0, NULL, NULL, 0,
		"What the device needs; the map may say otherwise"},
	{"probe", BF_KEY_NODE, ROW(map_profile_file, probe), 0, 0, NULL, NULL, 0,
		"A value by which a scan knows the device: as a metric, with min and max"},
	{"metrics", BF_KEY_NODE, ROW(map_profile_file, metrics), 0, 0, NULL, NULL, 0,
		"What it measures, by name, as in the map"},
	{"vectors", BF_KEY_NODE, ROW(map_profile_file, vectors), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"Registers and the readings that must come of them, by name"},
	{0},
};

const struct bf_key schema_profile[] = {
	{"id", BF_KEY_TEXT, ROW(map_profile, id), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"The name of the file, without .conf"},
	{"maker", BF_KEY_TEXT, ROW(map_profile, maker), 0, 0, NULL, NULL, BF_KEY_REQUIRED, "Who makes the device"},
	{"device", BF_KEY_TEXT, ROW(map_profile, device), 0, 0, NULL, NULL, BF_KEY_REQUIRED, "What it is called"},
	{"document", BF_KEY_TEXT, ROW(map_profile, document), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"Where the registers are described"},
	{"revision", BF_KEY_TEXT, ROW(map_profile, revision), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"Which issue of the document"},
	{"transport", BF_KEY_TEXT, ROW(map_profile, transport), 0, 0, "modbus", NULL, 0, "The driver that it is for"},
	{"note", BF_KEY_TEXT, ROW(map_profile, note), 0, 0, NULL, NULL, 0, "What else one should know"},
	{0},
};

const struct bf_key schema_quirks[] = {
	{"words", BF_KEY_CHOICE, ROW(map_quirks, words), 0, 0, NULL, "big|little", 0, "As for a device"},
	{"bytes", BF_KEY_CHOICE, ROW(map_quirks, bytes), 0, 0, NULL, "big|little", 0, "As for a device"},
	{"max_registers", BF_KEY_INT, ROW(map_quirks, max_registers), 1, 125, NULL, NULL, 0, "As for a device"},
	{"max_gap", BF_KEY_INT, ROW(map_quirks, max_gap), 0, 124, NULL, NULL, 0, "As for a device"},
	{"timeout", BF_KEY_DURATION, ROW(map_quirks, timeout_us), 0.001, 60, NULL, NULL, 0, "As for a device"},
	{"gap", BF_KEY_DURATION, ROW(map_quirks, gap_us), 0, 1, NULL, NULL, 0,
		"The least silence between frames, for a bus that says none"},
	{0},
};

const struct bf_key schema_vector[] = {
	{"origin", BF_KEY_TEXT, ROW(map_vector, origin), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"\"document …\", \"capture …\" or \"synthetic …\": where these registers come from"},
	{"registers", BF_KEY_NODE, ROW(map_vector, registers), 0, 0, NULL, "list", 0,
		"Runs of cells: ( { input: 0  values: [1, 2] }, … )"},
	{"input", BF_KEY_TEXTS, ROW(map_vector, input), 0, 0, NULL, NULL, 0,
		"Of a stream: the bytes that come, \"42 4D …\"; of a sensor that is asked, one item an answer"},
	{"text", BF_KEY_TEXTS, ROW(map_vector, text), 0, 0, NULL, NULL, 0, "The same as text: \"$GPGGA,…\\r\\n\""},
	{"recording", BF_KEY_TEXT, ROW(map_vector, recording), 0, 0, NULL, NULL, 0,
		"The same from a file of `busferry listen --record` in the folder recordings beside the profile"},
	{"expect", BF_KEY_NODE, ROW(map_vector, expect), 0, 0, NULL, NULL, BF_KEY_REQUIRED,
		"The readings by name: a value, or { quality: \"invalid\" } for none"},
	{0},
};

const struct bf_key schema_cells[] = {
	{"values", BF_KEY_NODE, ROW(map_cells, values), 0, 0, NULL, "list", BF_KEY_REQUIRED,
		"What the registers or bits hold, from the first one on"},
	{0},
};
