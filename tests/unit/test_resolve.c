/* Names to addresses, with a name server of our own: getaddrinfo is defined here and answers when it is let. */
#include "field/resolve.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static sem_t asked, let, freed;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_addresses)
{
	bool number = strspn(host, "0123456789.") == strlen(host);
	if (hints->ai_flags & AI_NUMERICHOST && !number)
		return EAI_NONAME;
	if (!number) {
		sem_post(&asked);
		sem_wait(&let);
	}
	if (strcmp(host, "unknown") == 0)
		return EAI_NONAME;
	*ret_addresses = calloc(1, sizeof(**ret_addresses));
	(*ret_addresses)->ai_protocol = atoi(service);
	return 0;
}

void freeaddrinfo(struct addrinfo *addresses)
{
	free(addresses);
	sem_post(&freed);
}

static int set_up(void **state)
{
	(void)state;
	return sem_init(&asked, 0, 0) || sem_init(&let, 0, 0) || sem_init(&freed, 0, 0);
}

static int result_of(struct resolve *resolve, const struct addrinfo **ret_addresses)
{
	int rc;
	while ((rc = resolve_result(resolve, ret_addresses)) == -EINPROGRESS)
		sched_yield();
	return rc;
}

static void test_a_number_is_known_at_once(void **state)
{
	(void)state;
	struct resolve *resolve;
	const struct addrinfo *addresses = NULL;
	assert_int_equal(resolve_start("10.0.0.1", 502, &resolve), 0);
	assert_int_equal(resolve_result(resolve, &addresses), 0);
	assert_int_equal(addresses->ai_protocol, 502);
	resolve_end(resolve);
	assert_int_equal(sem_trywait(&freed), 0);
	resolve_end(NULL);
}

static void test_a_name_holds_up_nobody(void **state)
{
	(void)state;
	struct resolve *known, *unknown;
	const struct addrinfo *addresses = NULL;
	assert_int_equal(resolve_start("known", 502, &known), 0);
	assert_int_equal(resolve_start("unknown", 502, &unknown), 0);
	sem_wait(&asked);
	sem_wait(&asked);
	assert_int_equal(resolve_result(known, &addresses), -EINPROGRESS);
	assert_int_equal(resolve_result(unknown, &addresses), -EINPROGRESS);
	assert_null(addresses);
	sem_post(&let);
	sem_post(&let);
	assert_int_equal(result_of(unknown, &addresses), -EHOSTUNREACH);
	assert_null(addresses);
	assert_int_equal(result_of(known, &addresses), 0);
	assert_int_equal(addresses->ai_protocol, 502);
	resolve_end(known);
	resolve_end(unknown);
	sem_wait(&freed);
}

static void test_what_is_given_up_is_freed_when_it_ends(void **state)
{
	(void)state;
	struct resolve *resolve;
	assert_int_equal(resolve_start("known", 502, &resolve), 0);
	sem_wait(&asked);
	resolve_end(resolve);
	assert_int_equal(sem_trywait(&freed), -1);
	sem_post(&let);
	sem_wait(&freed);
}

static void test_only_so_many_at_once(void **state)
{
	(void)state;
	struct resolve *resolves[RESOLVE_AT_ONCE + 2];
	const size_t n = sizeof(resolves) / sizeof(resolves[0]);
	const struct addrinfo *addresses;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(resolve_start("known", 502, &resolves[i]), 0);
	for (size_t i = 0; i < RESOLVE_AT_ONCE; i++)
		sem_wait(&asked);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(resolve_result(resolves[i], &addresses), -EINPROGRESS);
	assert_int_equal(sem_trywait(&asked), -1);
	resolve_end(resolves[n - 1]); /* before its turn */
	for (size_t i = 0; i + 1 < n; i++)
		sem_post(&let);
	for (size_t i = 0; i + 1 < n; i++) {
		assert_int_equal(result_of(resolves[i], &addresses), 0);
		resolve_end(resolves[i]);
		sem_wait(&freed);
	}
	assert_int_equal(sem_trywait(&freed), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_number_is_known_at_once, set_up),
		cmocka_unit_test_setup(test_a_name_holds_up_nobody, set_up),
		cmocka_unit_test_setup(test_what_is_given_up_is_freed_when_it_ends, set_up),
		cmocka_unit_test_setup(test_only_so_many_at_once, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
