/*
 * Frames in a stream of bytes.
 */
#include "field/rtu.h"
#include "sdk/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static size_t sealed(uint8_t *frame, const char *text, size_t n)
{
	memcpy(frame, text, n);
	uint16_t crc = bf_crc16_modbus(frame, n);
	frame[n] = (uint8_t)crc;
	frame[n + 1] = (uint8_t)(crc >> 8);
	return n + 2;
}

static void feed(struct rtu_search *search, const uint8_t *bytes, size_t n)
{
	size_t room;
	uint8_t *into = rtu_room(search, &room);
	assert_true(room >= n);
	memcpy(into, bytes, n);
	rtu_fed(search, n);
}

static void a_frame_is_known_by_its_length_and_checksum(void **state)
{
	(void)state;
	struct rtu_search search = {0};
	struct rtu_frame frame;
	uint8_t bytes[32];
	size_t n = sealed(bytes, "\x05\x03\x04\x00\x01\x00\x02", 7);
	for (size_t i = 0; i + 1 < n; i++) { /* byte by byte: never too early */
		feed(&search, bytes + i, 1);
		assert_false(rtu_next(&search, NULL, &frame));
	}
	feed(&search, bytes + n - 1, 1);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.kind, RTU_ANSWER);
	assert_int_equal(frame.unit, 5);
	assert_int_equal(frame.shape, TRUST_SHAPE(3, 4));
	assert_int_equal(frame.n, 7);
	assert_int_equal(frame.n_skipped, 0);
	assert_memory_equal(frame.bytes, bytes, 7);
	assert_false(rtu_next(&search, NULL, &frame));
	assert_int_equal(rtu_waiting(&search), 0);

	n = sealed(bytes, "\x05\x83\x02", 3);
	feed(&search, bytes, n);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.kind, RTU_EXCEPTION);
	assert_int_equal(frame.exception, 2);
	assert_int_equal(frame.shape, TRUST_EXCEPTION(3));

	n = sealed(bytes, "\x05\x01\x00\x10\x00\x09", 6);
	feed(&search, bytes, n);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.kind, RTU_REQUEST);
	assert_int_equal(frame.asks, TRUST_SHAPE(1, 2));

	n = sealed(bytes, "\x05\x10\x00\x10\x00\x01\x02\x12\x34", 9);
	feed(&search, bytes, n);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.kind, RTU_OTHER);
}

static void glued_frames_and_noise_between_them_are_taken_apart(void **state)
{
	(void)state;
	struct rtu_search search = {0};
	struct rtu_frame frame;
	uint8_t bytes[64] = {0xFF, 0x00};
	size_t n = 2;
	n += sealed(bytes + n, "\x05\x03\x02\x00\x01", 5);
	n += sealed(bytes + n, "\x05\x03\x04\x00\x01\x00\x02", 7);
	bytes[n++] = 0x55;
	n += sealed(bytes + n, "\x06\x84\x06", 3);
	feed(&search, bytes, n);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.shape, TRUST_SHAPE(3, 2));
	assert_int_equal(frame.n_skipped, 2);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.shape, TRUST_SHAPE(3, 4));
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.unit, 6);
	assert_int_equal(frame.n_skipped, 1);
	assert_false(rtu_next(&search, NULL, &frame));
}

static void a_damaged_frame_hides_nothing_behind_it(void **state)
{
	(void)state;
	struct rtu_search search = {0};
	struct rtu_frame frame;
	uint8_t bytes[64];
	size_t n = sealed(bytes, "\x05\x03\x02\x00\x01", 5);
	bytes[3] ^= 0x10;
	n += sealed(bytes + n, "\x05\x03\x02\x00\x07", 5);
	feed(&search, bytes, n);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.bytes[4], 7);
	assert_int_equal(frame.n_skipped, 7);

	/* one that claims to be long, and is awaited, is waited for; when the wait is over, what it hid comes out */
	const struct rtu_head awaited = {{0x05, 0x03, 0x20}, 5 + 0x20};
	n = 3;
	memcpy(bytes, "\x05\x03\x20", 3);
	n += sealed(bytes + n, "\x05\x03\x02\x00\x08", 5);
	feed(&search, bytes, n);
	assert_false(rtu_next(&search, &awaited, &frame));
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.bytes[4], 8);
}

static void an_answer_of_three_bytes_of_coils_may_be_a_request(void **state)
{
	(void)state;
	struct rtu_search search = {0};
	struct rtu_frame frame;
	uint8_t bytes[16];
	feed(&search, bytes, sealed(bytes, "\x04\x01\x03\x10\x00\x06", 6));
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.kind, RTU_ANSWER);
	assert_true(frame.ambiguous);
	assert_int_equal(frame.shape, TRUST_SHAPE(1, 3));
	assert_int_equal(frame.asks, TRUST_SHAPE(1, 1));
	feed(&search, bytes, sealed(bytes, "\x04\x01\x03\x10\xff\x06", 6)); /* nobody asks for 65286 coils */
	assert_true(rtu_next(&search, NULL, &frame));
	assert_false(frame.ambiguous);
}

static void endless_bytes_are_bounded_and_counted(void **state)
{
	(void)state;
	struct rtu_search search = {0};
	struct rtu_frame frame;
	uint8_t bytes[100];
	memset(bytes, 0x55, sizeof(bytes));
	for (int i = 0; i < 100; i++) {
		feed(&search, bytes, sizeof(bytes));
		assert_false(rtu_next(&search, NULL, &frame));
	}
	assert_true(rtu_waiting(&search) <= sizeof(search.bytes));
	size_t n = sealed(bytes, "\x05\x03\x02\x00\x01", 5);
	feed(&search, bytes, n);
	assert_true(rtu_next(&search, NULL, &frame));
	assert_int_equal(frame.n_skipped, 10000);
	memset(bytes, 0x55, sizeof(bytes));
	feed(&search, bytes, 7);
	assert_int_equal(rtu_clear(&search), 7);
	assert_int_equal(rtu_clear(&search), 0);
}

static void a_damaged_answer_is_told_from_the_sound_one_of_another_unit(void **state)
{
	(void)state;
	const struct rtu_head awaited = {{0x05, 0x03, 0x02}, 5 + 0x02};
	uint8_t bytes[16];
	size_t n = sealed(bytes, "\x05\x03\x02\x00\x01", 5);
	bytes[4] ^= 0x40;
	assert_true(rtu_is_spoilt(bytes, n, &awaited));
	assert_false(rtu_is_spoilt(bytes, n - 1, &awaited));
	bytes[2] ^= 0x01;
	assert_false(rtu_is_spoilt(bytes, n, &awaited));
	n = sealed(bytes, "\x07\x03\x02\x00\x01", 5);
	bytes[0] ^= 0x02; /* unit 7 seems to be 5 */
	assert_false(rtu_is_spoilt(bytes, n, &awaited));
}

static void requests_are_built_as_the_standard_says(void **state)
{
	(void)state;
	const struct bf_place place = {BF_SPACE_HOLDING, 0x006B, 3};
	uint8_t request[RTU_REQUEST_BYTES];
	rtu_request(0x11, &place, request);
	assert_memory_equal(request, "\x11\x03\x00\x6B\x00\x03\x76\x87", sizeof(request));
	assert_int_equal(rtu_shape(&place), TRUST_SHAPE(3, 6));
	assert_int_equal(
		rtu_shape(&(struct bf_place){BF_SPACE_COIL, 5, 1}), rtu_shape(&(struct bf_place){BF_SPACE_COIL, 9, 8}));
	assert_int_equal(rtu_answer_bytes(&(struct bf_place){BF_SPACE_DISCRETE, 0, 9}), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_known_by_its_length_and_checksum),
		cmocka_unit_test(glued_frames_and_noise_between_them_are_taken_apart),
		cmocka_unit_test(a_damaged_frame_hides_nothing_behind_it),
		cmocka_unit_test(an_answer_of_three_bytes_of_coils_may_be_a_request),
		cmocka_unit_test(endless_bytes_are_bounded_and_counted),
		cmocka_unit_test(a_damaged_answer_is_told_from_the_sound_one_of_another_unit),
		cmocka_unit_test(requests_are_built_as_the_standard_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
