/*
 * Where secrets come from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ship/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text, size_t n)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	fclose(file);
}

static void test_files(void **state)
{
	(void)state;
	char path[] = "/tmp/busferry-secret-XXXXXX", buffer[SECRET_MAX], large[SECRET_MAX];
	close(mkstemp(path));
	static const char *const texts[] = {"right", "right\n", "right\r\n"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		write_file(path, texts[i], strlen(texts[i]));
		assert_int_equal(secret_read(path, buffer), 0);
		assert_string_equal(buffer, "right");
	}
	memset(large, 'x', sizeof(large));
	write_file(path, large, sizeof(large));
	assert_int_equal(secret_read(path, buffer), -EFBIG);
	write_file(path, large, sizeof(large) - 1);
	assert_int_equal(secret_read(path, buffer), 0);
	assert_int_equal(strlen(buffer), sizeof(large) - 1);
	unlink(path);
	assert_int_equal(secret_read(path, buffer), -ENOENT);
	secret_wipe(buffer);
	for (size_t i = 0; i < sizeof(buffer); i++)
		assert_int_equal(buffer[i], 0);
}

static void test_the_environment(void **state)
{
	(void)state;
	char buffer[SECRET_MAX], large[SECRET_MAX + 1];
	unsetenv("BUSFERRY_PASSWORD");
	assert_int_equal(secret_environment("BUSFERRY_PASSWORD", buffer), -ENOENT);
	setenv("BUSFERRY_PASSWORD", "right", 1);
	assert_int_equal(secret_environment("BUSFERRY_PASSWORD", buffer), 0);
	assert_string_equal(buffer, "right");
	memset(large, 'x', sizeof(large) - 1);
	large[SECRET_MAX] = '\0';
	setenv("BUSFERRY_PASSWORD", large, 1);
	assert_int_equal(secret_environment("BUSFERRY_PASSWORD", buffer), -EFBIG);
	large[SECRET_MAX - 1] = '\0';
	setenv("BUSFERRY_PASSWORD", large, 1);
	assert_int_equal(secret_environment("BUSFERRY_PASSWORD", buffer), 0);
	unsetenv("BUSFERRY_PASSWORD");
}

static void test_credentials(void **state)
{
	(void)state;
	char path[CREDENTIAL_PATH_MAX], large[CREDENTIAL_PATH_MAX];
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(secret_credential("mqtt", path), -ENOENT);
	setenv("CREDENTIALS_DIRECTORY", "somewhere", 1);
	assert_int_equal(secret_credential("mqtt", path), -ENOENT);
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/busferry.service", 1);
	assert_int_equal(secret_credential("mqtt", path), 0);
	assert_string_equal(path, "/run/credentials/busferry.service/mqtt");
	memset(large, '/', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	setenv("CREDENTIALS_DIRECTORY", large, 1);
	assert_int_equal(secret_credential("mqtt", path), -ENAMETOOLONG);
	unsetenv("CREDENTIALS_DIRECTORY");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_the_environment),
		cmocka_unit_test(test_credentials),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
