/* What the frame driver refuses of its keys, and what it says of it. */
#include "frame_samples.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- what is refused ---- */

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *frame, *rest, *key, *what;
	} cases[] = {
		{"length: 4", "", "frame", "has neither \"start\" nor \"flag\""},
		{"start: \"A5\"", "", "frame", "has no \"length\""},
		{"start: \"A5 01\"  start_or: \"F2\"  length: 4", "", "frame.start_or", "is not as long as \"start\""},
		{"flag: \"7E 7E\"", "", "frame.flag", "is one byte"},
		{"flag: \"7E\"  start: \"A5\"", "", "frame.start", "is given beside \"frame.flag\""},
		{"flag: \"7E\"  end: \"A5\"", "", "frame.end", "is given beside \"frame.flag\""},
		{"flag: \"7E\"  escape: { byte: 0x7E }", "", "frame.escape.byte", "is the flag itself"},
		{"start: \"A5\"  length: 4  escape: { byte: 0x7D }", "", "frame.escape", "goes with \"frame.flag\""},
		{"flag: \"7E\"  check: { kind: \"sum8\"  coding: \"hex\" }", "", "frame.check.coding",
			"can't be \"hex\""},
		{"start: \"A5\"  length: 4  check: { kind: \"crc16-arc\"  from: 3 }", "", "frame.length",
			"is 4, but start, check and end alone take 5 bytes"},
		{"start: \"A5\"  length: { at: 6  max: 6 }", "", "frame.length.max", "is 6, but start"},
		{"start: \"A5\"  length: 9  check: { kind: \"sum8\"  from: 3  at: 3 }", "", "frame.check.at",
			"is 3, but what is checked begins at 3"},
		{"start: \"A5\"  length: 9  check: { kind: \"sum16be\"  at: -1 }", "", "frame.check.at",
			"leaves no room"},
		{"start: \"A5\"  length: 9", "messages: { a: {}  b: { match: { at: 1  is: 1 } } }", NULL,
			"has no \"match\""},
		{"start: \"A5\"  length: 9",
			"messages: { a: { match: { at: 1  is: 1 } }  b: { match: { at: 1  is: 1 } } }", "match.is",
			"is that of message \"a\" too"},
		{"start: \"A5\"  length: 9", "messages: { a: { match: { at: 9  is: 1 } } }", "match.at",
			"lies beyond the frame: byte 10 of 9"},
		{"start: \"A5\"  length: 9", "messages: { a: { min_length: 10 } }", "min_length", "lies beyond"},
		{"start: \"A5\"  length: 9", "messages: { a: { tagged: { from: 1  sizes: { x: 1 } } } }",
			"tagged.sizes", "has \"x\", which names no byte"},
		{"start: \"A5\"  length: 9", "messages: { a: { tagged: { from: 9  sizes: { t01: 1 } } } }",
			"tagged.from", "lies beyond"},
		{"start: \"A5\"  length: 9", "metrics: { m: { type: \"u8\" } }", NULL, "has no place"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 6  type: \"u32be\" } }", "at", "byte 10 of 9"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  length: 2 } }", "length",
			"goes with"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"bcd\" } }", "type", "needs a \"length\""},
		{"start: \"A5\"  length: 99", "metrics: { m: { at: 1  type: \"bcd\"  length: 10 } }", "length",
			"is 10, a value of this type has at most 9 bytes"},
		{"start: \"A5\"  length: 99", "metrics: { m: { at: 1  type: \"hex\"  length: 17 } }", "length",
			"at most 16"},
		{"start: \"A5\"  length: 9", "metrics: { m: { tag: 1  type: \"u8\" } }", "tag", "needs a message with"},
		{"start: \"A5\"  length: 9",
			"messages: { a: { tagged: { from: 1  sizes: { t01: 1 } }\n"
			"metrics: { m: { tag: 2  type: \"u8\" } } } }",
			"tag", "is 0x02, which is not among"},
		{"start: \"A5\"  length: 9",
			"messages: { a: { tagged: { from: 1  sizes: { t01: 1 } }\n"
			"metrics: { m: { tag: 1  type: \"u16be\" } } } }",
			"type", "lies beyond the value of tag 0x01: byte 2 of 1"},
		{"start: \"A5\"  length: 9",
			"metrics: { m: { at: 1  type: \"u8\"  over: { at: 8  type: \"u16be\" } } }", "over.at",
			"lies beyond"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  over: { at: 2  type: \"bcd\" } } }",
			"over.type", "must be a number of known size"},
		{"start: \"A5\"  length: 9",
			"metrics: { m: { at: 1  type: \"ascii\"  length: 2  over: { at: 2  type: \"u8\" } } }", "over",
			"divides a number, no text"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { is: 1 } } }", "when",
			"has neither \"at\" nor \"tag\""},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { at: 9 } } }", "when.at",
			"lies beyond"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { tag: 1 } } }", "when.tag",
			"needs a message with"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { at: 2  mask: 1  is: 2 } } }",
			"when.is", "has bits that"},
		{"start: \"A5\"  length: 9", "metrics: { m: { at: 1  type: \"u8\"  when: { at: 2  else: 256 } } }",
			"when.else", "does not fit the type"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char table[512];
		struct frame_bench bench;
		snprintf(table, sizeof(table), "frame: { %s }\n%s\n", cases[i].frame, cases[i].rest);
		bool sound = frame_bench_load(&bench, table);
		if (bench.faults.n_errors)
			faults_print(&bench.faults, stderr, false);
		assert_int_equal(bench.faults.n_errors, 0);
		assert_false(sound);
		if (!strstr(bench.complaint.what, cases[i].what))
			fail_msg("%s %s: \"%s\", not \"%s\"", cases[i].frame, cases[i].rest, bench.complaint.what,
				cases[i].what);
		if (cases[i].key)
			assert_string_equal(bench.complaint.key, cases[i].key);
		else
			assert_null(bench.complaint.key);
		frame_bench_destroy(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
