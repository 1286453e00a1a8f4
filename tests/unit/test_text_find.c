/*
 * Messages of the text driver are found whatever stands around them: each mode with its samples, cut at every byte, in
 * noise, damaged at every byte; and nothing is found that is not there.
 */
#include "stream_contract.h"
#include "text_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct text_bench bench;

static const struct text_sample *sample_of(const char *name)
{
	for (size_t i = 0; i < text_n_samples; i++)
		if (strcmp(text_samples[i].name, name) == 0)
			return &text_samples[i];
	fail_msg("no sample %s", name);
	return NULL;
}

static void start(const struct text_sample *sample)
{
	sample->device(&bench);
	if (text_bench_check(&bench) < 0)
		fail_msg("%s: %s %s", sample->name, bench.complaint.key, bench.complaint.what);
}

static void feed(const char *text)
{
	text_bench_feed(&bench, text, strlen(text));
}

static void told(const char *where, size_t at, const char *wanted)
{
	if (strcmp(bench.told, wanted) != 0)
		fail_msg("%s, %zu: told\n%sand not\n%s", where, at, bench.told, wanted);
}

/* Small numbers that are the same in each run. */
static uint32_t seed;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)seed * below >> 32);
}

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		start(sample);
		feed(sample->bytes);
		told(sample->name, 0, sample->told);
		if (bench.n_damaged != 0)
			fail_msg("%s: damaged", sample->name);
	}
}

static void test_split_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		size_t n = strlen(sample->bytes);
		for (size_t cut = 1; cut < n; cut++) {
			start(sample);
			text_bench_feed(&bench, sample->bytes, cut);
			text_bench_feed(&bench, sample->bytes + cut, n - cut);
			told(sample->name, cut, sample->told);
		}
		start(sample);
		for (size_t at = 0; at < n; at++)
			text_bench_feed(&bench, sample->bytes + at, 1);
		told(sample->name, n, sample->told);
	}
}

/* Noise, then a quiet line, then the samples; noise that has no line end would be part of the first line. */
static void test_noise_before(void **state)
{
	(void)state;
	seed = 1;
	for (size_t i = 0; i < text_n_samples; i++)
		for (size_t round = 0; round < 200; round++) {
			const struct text_sample *sample = &text_samples[i];
			uint8_t noise[64];
			size_t n = any(sizeof(noise));
			start(sample);
			for (size_t at = 0; at < n; at++)
				do
					noise[at] = (uint8_t)any(256);
				while (strchr("\r\n/\x02:{", noise[at]));
			text_bench_feed(&bench, noise, n);
			if (!sample->checked)
				feed("\n");
			text_bench_clear(&bench);
			feed(sample->bytes);
			told(sample->name, round, sample->told);
		}
}

/* A part of the samples, from any byte on, as a port that is opened in the midst of it; then the whole. */
static void test_second_half_before(void **state)
{
	(void)state;
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		size_t n = strlen(sample->bytes);
		for (size_t from = 1; from < n; from++) {
			start(sample);
			feed(sample->bytes + from);
			text_bench_clear(&bench);
			feed(sample->bytes);
			told(sample->name, from, sample->told);
		}
	}
}

/* Lines that begin with a character, and blocks, survive that the message in front of them lost its end. */
static void test_first_half_before(void **state)
{
	(void)state;
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		size_t n = strlen(sample->bytes), n_lost = 0;
		for (size_t end = 1; end < n; end++) {
			start(sample);
			feed(sample->bytes);
			text_bench_feed(&bench, sample->bytes, end);
			text_bench_clear(&bench);
			if (strcmp(sample->name, "csv") == 0 || strcmp(sample->name, "csv_crc") == 0 ||
				strcmp(sample->name, "json") == 0)
				feed("\n"); /* what ends a line can't be left out where nothing begins one */
			feed(sample->bytes);
			size_t n_told = strlen(sample->told);
			if (bench.n_told >= n_told && strcmp(bench.told + bench.n_told - n_told, sample->told) == 0)
				continue;
			/* Of blocks with 8 bits, one in 256 halves makes a sound one with the whole behind it. */
			if (strcmp(sample->name, "bmv") != 0 || ++n_lost > 2)
				fail_msg("%s, cut at %zu: told\n%s", sample->name, end, bench.told);
		}
	}
}

static bool is_one_of_lines(const char *line, size_t n, const char *lines)
{
	for (const char *at = lines; *at; at = strchr(at, '\n') + 1)
		if ((size_t)(strchr(at, '\n') - at) == n && memcmp(at, line, n) == 0)
			return true;
	return false;
}

/*
 * One byte is another, at every place: nothing is told that the samples do not say.  Of blocks whose lines are checked
 * each, a line less is told, which is looked at on its own.
 */
static void test_damage_at_every_byte(void **state)
{
	(void)state;
	seed = 2;
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		size_t n = strlen(sample->bytes), n_wrong = 0, n_tried = 0;
		if (!sample->checked || strstr("teleinfo linky", sample->name))
			continue;
		uint8_t *bytes = malloc(n);
		for (size_t at = 0; at < n; at++)
			for (unsigned bits = 1; bits < 256; bits += 1 + any(n > 500 ? 200 : 32)) {
				memcpy(bytes, sample->bytes, n);
				bytes[at] ^= (uint8_t)bits;
				start(sample);
				text_bench_feed(&bench, bytes, n);
				n_tried++;
				for (const char *line = bench.told; *line; line = strchr(line, '\n') + 1)
					n_wrong += !is_one_of_lines(
						line, (size_t)(strchr(line, '\n') - line), sample->told);
				/* What stands behind is found. */
				text_bench_clear(&bench);
				text_bench_quiet(&bench);
				feed("\r\n");
				text_bench_clear(&bench);
				feed(sample->bytes);
				const char *last = strstr(bench.told, sample->told);
				if (!last)
					fail_msg("%s, %zu, %02X: told\n%s", sample->name, at, bits, bench.told);
			}
		free(bytes);
		if (n_wrong * 1000000 > n_tried * sample->strays)
			fail_msg("%s: %zu of %zu damaged messages passed", sample->name, n_wrong, n_tried);
	}
}

static void test_damaged_line_in_a_block(void **state)
{
	(void)state;
	start(sample_of("teleinfo"));
	feed("\x02\nADCO 021528603314 :\r\nHCHC 000837363 #\r\nPTEC HP..  \r\nPAPP 00200 #\r\x03");
	told("one", 0, " id=021528603314 va=200 now=HP..\n");
	assert_int_equal(bench.n_damaged, 1);
	text_bench_clear(&bench);
	feed("\x02\nHCHC 000837363 #\r\x03");
	told("all", 0, "");
	assert_int_equal(bench.n_damaged, 1);
	text_bench_clear(&bench);
	feed(sample_of("teleinfo")->bytes);
	told("whole", 0, sample_of("teleinfo")->told);
	assert_int_equal(bench.n_damaged, 0);
}

/* Damage at every byte of a frame with checked lines: what is told is what the frame says, or less. */
static void test_damage_of_lines_in_a_block(void **state)
{
	(void)state;
	static const char *const names[] = {"teleinfo", "linky"};
	seed = 3;
	for (size_t i = 0; i < 2; i++) {
		const struct text_sample *sample = sample_of(names[i]);
		size_t n = strlen(sample->bytes), n_wrong = 0, n_tried = 0;
		uint8_t *bytes = malloc(n);
		for (size_t at = 0; at < n; at++)
			for (unsigned bit = 0; bit < 7; bit++) {
				memcpy(bytes, sample->bytes, n);
				bytes[at] ^= (uint8_t)(1u << bit);
				start(sample);
				text_bench_feed(&bench, bytes, n);
				n_tried++;
				bool wrong = false;
				for (char *word = strtok(bench.told, " \n"); word; word = strtok(NULL, " \n"))
					wrong |= !strstr(sample->told, word) && !strstr(word, "=?");
				n_wrong += wrong;
			}
		free(bytes);
		/* The check has six bits: a flipped seventh turns "0" to "p", which no number has, but a text may; it
		 * is for the parity to find. */
		if (n_wrong * 50 > n_tried)
			fail_msg("%s: %zu of %zu", sample->name, n_wrong, n_tried);
	}
}

/* A million random bytes, of all values and of those that the messages are made of. */
static void test_nothing_is_made_up(void **state)
{
	(void)state;
	seed = 4;
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		size_t n_sample = strlen(sample->bytes), n_candidates;
		if (!sample->checked)
			continue;
		start(sample);
		for (size_t round = 0; round < 1000; round++) {
			uint8_t bytes[1000];
			for (size_t at = 0; at < sizeof(bytes); at++)
				bytes[at] =
					round % 2 ? (uint8_t)any(256) : (uint8_t)sample->bytes[any((uint32_t)n_sample)];
			text_bench_feed(&bench, bytes, sizeof(bytes));
		}
		n_candidates = bench.n_damaged + bench.n_messages + bench.n_others;
		size_t most = 20 + n_candidates * sample->strays / 250000;
		if (bench.n_messages + bench.n_others > most)
			fail_msg("%s: %zu messages of %zu candidates", sample->name, bench.n_messages + bench.n_others,
				n_candidates);
	}
}

static void test_truncated_sentence_in_front(void **state)
{
	(void)state;
	start(sample_of("gps"));
	feed("$GPGGA,1235$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n");
	told("cut", 0, "gga lat=48.1173 lon=11.516666666666667 sats=8\n");
	assert_int_equal(bench.n_damaged, 1);
	text_bench_clear(&bench);
	feed("xx\xFF\x00$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6a\r\n");
	assert_int_equal(bench.n_messages, 0); /* the NUL ended the text of this feed */
	feed("$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6a\n");
	told("small digits", 0, "rmc speed=22.4\n");
	text_bench_clear(&bench);
	feed("$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A0\r\n$GPRMC,1*\r\n$*00\r\n");
	told("more digits, fewer digits, none of ours", 0, "");
	assert_int_equal(bench.n_damaged, 2);
	assert_int_equal(bench.n_others, 1);
}

static void test_nuls_and_line_ends(void **state)
{
	(void)state;
	static const char bytes[] = "\0\r\n\0\0"
				    "21.4;48;1013\n\r\0\r21.5;49;1012\r\n\n\0";
	start(sample_of("csv"));
	text_bench_feed(&bench, bytes, sizeof(bytes) - 1);
	told("ends", 0, "row t=21.4 h=48 p=1013\nrow t=21.5 h=49 p=1012\n");
}

static void test_lines_without_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < text_n_samples; i++) {
		start(&text_samples[i]);
		for (size_t n = 0; n < 5000; n++)
			feed("1");
		for (size_t n = 0; n < 5000; n++)
			feed(n ? "1" : text_samples[i].bytes + (text_samples[i].bytes[0] == '\r'));
		feed("\r\n");
		text_bench_clear(&bench);
		feed(text_samples[i].bytes);
		told(text_samples[i].name, 0, text_samples[i].told);
	}
}

static void test_first_line_after_opening(void **state)
{
	(void)state;
	start(sample_of("csv"));
	feed("1.4;48;1013\r\n");
	told("the rest of a line", 0, "");
	feed("21.4;48;1013\r\n");
	told("a line", 0, "row t=21.4 h=48 p=1013\n");
	text_bench_clear(&bench);
	feed("21.");
	text_bench_quiet(&bench); /* the core gives the beginning up */
	feed("4;48;1013\r\n");
	told("the rest again", 0, "");
	feed("21.4;48;1013\r\n");
	told("a line again", 0, "row t=21.4 h=48 p=1013\n");
	text_bench_reopen(&bench);
	text_bench_clear(&bench);
	feed("1.4;48;1013\r\n");
	told("opened again", 0, "");

	text_bench_start(&bench, "text.first", "read", NULL);
	text_bench_metric(&bench, "v", "column", "0", NULL);
	assert_int_equal(text_bench_check(&bench), 0);
	feed("7\r\n");
	told("read", 0, " v=7\n");

	static const uint8_t request[] = {'R', '\r'};
	text_bench_start(&bench, NULL);
	text_bench_metric(&bench, "v", "column", "0", NULL);
	bench.messages[0].request = (struct bf_bytes){request, 2};
	assert_int_equal(text_bench_check(&bench), 0);
	feed("7\r");
	told("asked", 0, " v=7\n");
}

static void test_too_few_columns(void **state)
{
	(void)state;
	start(sample_of("csv"));
	feed("\n21.4;48\n;21.4;48;1013\n21.4;48;1013\n");
	told("columns", 0, "row t=21.4 h=48 p=1013\n");
	assert_int_equal(bench.n_others, 2);
}

/* A block whose last line was lost, and a sound one behind it: it is found, of either kind. */
static void test_lost_end_of_a_keyed_block(void **state)
{
	(void)state;
	const char *bytes = sample_of("bmv")->bytes, *second = strstr(bytes, "\r\nH1");
	size_t n_first = (size_t)(second - bytes);
	start(sample_of("bmv"));
	feed(bytes);
	text_bench_clear(&bench);
	text_bench_feed(&bench, bytes, n_first - 4); /* "Checks…" */
	feed(second);
	told("the other kind", 0, " deepest=-149322\n");
	assert_int_equal(bench.n_damaged, 1);
	text_bench_clear(&bench);
	text_bench_feed(&bench, bytes, n_first - 14);
	feed(bytes);
	told("the same kind", 0, " v=12065\n deepest=-149322\n");
	assert_int_equal(bench.n_damaged, 1);
}

/* Records of the other protocol between lines, within one, and where the check byte looks like one. */
static void test_hex_records(void **state)
{
	(void)state;
	start(sample_of("bmv"));
	feed("\r\nV\t12065:7F0ED0071\n\r\nI\t0\r\n:A0002\nChecksum\t");
	assert_int_equal(bench.n_messages, 0);
	const char *plain = "\r\nV\t12065\r\nI\t0\r\nChecksum\t";
	unsigned sum = 0;
	for (const char *c = plain; *c; c++)
		sum += (uint8_t)*c;
	uint8_t check = (uint8_t)(0x100 - (sum & 0xFF));
	text_bench_feed(&bench, &check, 1);
	told("records", 0, " v=12065\n");
	text_bench_clear(&bench);
	/* One more byte somewhere makes the check a ":". */
	char line[64];
	int n = snprintf(line, sizeof(line), "\r\nV\t1206%c\r\nI\t0\r\nChecksum\t:", 0);
	sum = ':';
	for (int i = 0; i < n - 1; i++)
		sum += (uint8_t)line[i];
	line[8] = (char)(uint8_t)(0x100 - (sum & 0xFF));
	text_bench_feed(&bench, line, (size_t)n);
	assert_int_equal(bench.n_messages, 1);
}

extern const struct bf_driver bf_driver_text;

/* The contract of all drivers, for each mode. */
static void test_contract(void **state)
{
	(void)state;
	char broken[CONTRACT_SIZE];
	for (size_t i = 0; i < text_n_samples; i++) {
		const struct text_sample *sample = &text_samples[i];
		struct contract_metric metrics[TEXT_BENCH_N_METRICS];
		start(sample);
		for (size_t k = 0; k < bench.n_metrics; k++)
			metrics[k] = (struct contract_metric){
				bench.metrics[k].keys, bench.metrics[k].kind, bench.metrics[k].index};
		struct contract contract = {.driver = &bf_driver_text,
			.device = bench.device,
			.metrics = metrics,
			.n_metrics = bench.n_metrics,
			.checked = sample->checked,
			.blind = strstr("teleinfo linky", sample->name) ? 0xC0 : 0,
			.weak = sample->strays > 100};
		if (!contract_holds(&contract, (const uint8_t *)sample->bytes, strlen(sample->bytes), broken))
			fail_msg("%s: %s", sample->name, broken);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_contract),
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_noise_before),
		cmocka_unit_test(test_second_half_before),
		cmocka_unit_test(test_first_half_before),
		cmocka_unit_test(test_damage_at_every_byte),
		cmocka_unit_test(test_damaged_line_in_a_block),
		cmocka_unit_test(test_damage_of_lines_in_a_block),
		cmocka_unit_test(test_nothing_is_made_up),
		cmocka_unit_test(test_truncated_sentence_in_front),
		cmocka_unit_test(test_nuls_and_line_ends),
		cmocka_unit_test(test_lines_without_end),
		cmocka_unit_test(test_first_line_after_opening),
		cmocka_unit_test(test_too_few_columns),
		cmocka_unit_test(test_lost_end_of_a_keyed_block),
		cmocka_unit_test(test_hex_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
