/*
 * Who may look at the status page: addresses, Host headers, passwords.
 */
#include "app/page_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void addresses(void **state)
{
	(void)state;
	static const char *const loopback[] = {"127.0.0.1", "127.8.9.10", "::1", "localhost", "LocalHost"};
	static const char *const others[] = {"0.0.0.0", "::", "192.168.1.4", "fe80::1", "::ffff:192.168.1.4"};
	static const char *const none[] = {
		"", "pi", "pi.local", "127.0.0.1.", "127.1", "0x7f000001", "2130706433", "127.0.0.1.nip.io", "::1%lo"};
	for (size_t i = 0; i < 5; i++) {
		assert_true(page_is_address(loopback[i]) && page_is_loopback(loopback[i]));
		assert_true(page_is_address(others[i]) && !page_is_loopback(others[i]));
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(page_is_address(none[i]) || page_is_loopback(none[i]));
}

static void hosts(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		bool here, remote; /* allowed by a page for this machine; by one for others */
	} all[] = {
		{"127.0.0.1:8088", true, true},
		{"127.0.0.1", true, true},
		{"localhost:9000", true, true}, /* ssh -L 9000:localhost:8088 */
		{"LOCALHOST", true, true},
		{"[::1]:8088", true, true},
		{"192.168.1.4:8088", false, true},
		{"[2001:db8::1]:8088", false, true},
		{"pi:8088", false, true},
		{"PI.Local", false, true},
		{"pi.lan:8088", false, true}, /* its whole name */
		{"pi.evil.example", false, false},
		{"pi.local.evil.example", false, false},
		{"evil.example", false, false},
		{"127.0.0.1.evil.example", false, false},
		{"localhost.evil.example:8088", false, false},
		{"localhost.", false, false},
		{"127.0.0.1@evil.example", false, false},
		{"[::1]evil.example", false, false},
		{"127.0.0.1:x", false, false},
		{"127.0.0.1:99999", false, false},
		{"p", false, false},
		{"", false, false},
		{NULL, false, false},
	};
	struct plan_page here = {.host = "127.0.0.1", .port = 8088}, remote = {.host = "0.0.0.0", .allow_remote = true};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(page_host_allowed(&here, "pi.lan", all[i].header), all[i].here);
		assert_int_equal(page_host_allowed(&remote, "pi.lan", all[i].header), all[i].remote);
	}
	assert_false(page_host_allowed(&remote, "", ".local"));
	char longest[400];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(page_host_allowed(&remote, longest, longest));
}

static void passwords(void **state)
{
	(void)state;
	char path[] = "/tmp/busferry-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "open sesame\n", 12), 12);
	assert_int_equal(page_password(path, NULL), -EKEYREJECTED);
	assert_int_equal(page_password(path, "Basic YTpvcGVuIHNlc2FtZQ=="), 0);             /* a:open sesame */
	assert_int_equal(page_password(path, "basic Om9wZW4gc2VzYW1l"), 0);                 /* :open sesame */
	assert_int_equal(page_password(path, "Basic YTpvcGVuIHNlc2FtIQ=="), -EKEYREJECTED); /* a:open sesam! */
	assert_int_equal(page_password(path, "Basic YTpvcGVuIHNlc2Ft"), -EKEYREJECTED);     /* a:open sesam */
	assert_int_equal(page_password(path, "Basic YTpvcGVuIHNlc2FtZXg="), -EKEYREJECTED); /* a:open sesamex */
	assert_int_equal(page_password(path, "Basic YTo="), -EKEYREJECTED);                 /* a: */
	assert_int_equal(page_password(path, "Basic b3BlbiBzZXNhbWU="), -EKEYREJECTED);     /* no colon */
	assert_int_equal(page_password(path, "Bearer YTpvcGVuIHNlc2FtZQ=="), -EKEYREJECTED);
	assert_int_equal(page_password(path, "Basic"), -EKEYREJECTED);
	assert_int_equal(page_password(path, "Basic !!!!"), -EKEYREJECTED);
	char endless[4000] = "Basic ";
	memset(endless + 6, 'Q', sizeof(endless) - 7);
	assert_int_equal(page_password(path, endless), -EKEYREJECTED);
	/* An empty password lets nobody in. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(page_password(path, "Basic YTo="), -EKEYREJECTED);
	close(fd);
	unlink(path);
	assert_int_equal(page_password(path, "Basic YTpvcGVuIHNlc2FtZQ=="), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(hosts),
		cmocka_unit_test(passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
