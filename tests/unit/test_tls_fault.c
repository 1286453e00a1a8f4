/*
 * The words for what OpenSSL says.  What it says is tried with real handshakes in tests/scenario/test_tls.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ship/tls_fault.h"

#include <openssl/ssl.h>
#include <string.h>

static const struct tls_setup bare = {"broker.example", false, false};
static const struct tls_setup full = {"broker.example", true, true};

static void test_verifications(void **state)
{
	(void)state;
	static const struct {
		long result;
		const char *text, *bare, *full;
	} cases[] = {
		{X509_V_ERR_CERT_HAS_EXPIRED, "certificate verify failed", "has expired", "has expired"},
		{X509_V_ERR_CERT_NOT_YET_VALID, "certificate verify failed", "this machine's clock", "not yet valid"},
		{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "certificate verify failed", "this system does not know",
			"not in ca_file"},
		{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "certificate verify failed", "this system does not know",
			"not in ca_file"},
		{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "certificate verify failed", "this system does not know",
			"not in ca_file"},
		{X509_V_ERR_UNSPECIFIED, "host name verification failed", "not for the name broker.example",
			"not for the name broker.example"},
		{X509_V_ERR_UNSPECIFIED, "wrong version number", "speaks no TLS", "speaks no TLS"},
		{X509_V_ERR_CERT_REVOKED, "certificate verify failed", "certificate revoked", "not accepted"},
	};
	char words[TLS_FAULT_WORDS];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_false(tls_fault(cases[i].result, cases[i].text, &bare, words));
		assert_non_null(strstr(words, cases[i].bare));
		assert_false(tls_fault(cases[i].result, cases[i].text, &full, words));
		assert_non_null(strstr(words, cases[i].full));
	}
}

static void test_what_a_handshake_has_found(void **state)
{
	(void)state;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	assert_non_null(context);
	SSL *ssl = SSL_new(context);
	assert_int_equal(tls_fault_verified(ssl), X509_V_OK);
	SSL_set_verify_result(ssl, X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(tls_fault_verified(ssl), X509_V_ERR_CERT_HAS_EXPIRED);
	SSL_free(ssl);
	SSL_CTX_free(context);
}

static void test_texts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *bare, *full;
		bool local;
	} cases[] = {
		{"tlsv13 alert certificate required", "asks for a certificate of ours", "asks for", false},
		{"sslv3 alert handshake failure", "asks for a certificate of ours", "sslv3 alert handshake failure",
			false},
		{"sslv3 alert certificate expired", "our certificate (cert_file) has expired", "has expired", false},
		{"tlsv1 alert unknown ca", "does not know the authority", "does not know the authority", false},
		{"tlsv1 alert protocol version", "no TLS 1.2", "no TLS 1.2", false},
		{"unexpected eof while reading", "a port without TLS", "a port without TLS", false},
		{"key values mismatch", "does not belong to cert_file", "does not belong", true},
		{"host name verification failed", "not for the name broker.example", "not for the name", false},
		{"something new", "something new", "something new", false},
		{"", "the handshake failed", "the handshake failed", false},
	};
	char words[TLS_FAULT_WORDS];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(tls_fault(X509_V_OK, cases[i].text, &bare, words), cases[i].local);
		assert_non_null(strstr(words, cases[i].bare));
		assert_int_equal(tls_fault(X509_V_OK, cases[i].text, &full, words), cases[i].local);
		assert_non_null(strstr(words, cases[i].full));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifications),
		cmocka_unit_test(test_what_a_handshake_has_found),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
