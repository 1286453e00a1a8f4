/*
 * The table of what goes wrong in TLS.  See tls_fault.h.  The only file that knows OpenSSL: libmosquitto does all the
 * rest, but calls each failed verification the same.
 *
 * Texts of OpenSSL 3.0; one that is not in the table is told as it is.
 */
#include "ship/tls_fault.h"
#include "base/clock.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void words_early(char words[static TLS_FAULT_WORDS])
{
	int64_t wall_ms = clock_system.wall_ms(&clock_system);
	time_t now = (time_t)(wall_ms / 1000);
	struct tm utc;
	char date[32] = "?";
	if (gmtime_r(&now, &utc))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &utc);
	/* A Pi without a battery clock finds every certificate "not yet valid" until it has heard NTP. */
	snprintf(words, TLS_FAULT_WORDS, "the broker's certificate is not yet valid: this machine's clock %s %s",
		clock_plausible(wall_ms) ? "says" : "is not set yet, it says", date);
}

/* Of a certificate that was looked at.  False when nothing was wrong with it. */
static bool words_of_verification(long result, const struct tls_setup *setup, char words[static TLS_FAULT_WORDS])
{
	switch (result) {
	case X509_V_OK:
		return false;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(words, TLS_FAULT_WORDS, "the broker's certificate has expired");
		return true;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		words_early(words);
		return true;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		snprintf(words, TLS_FAULT_WORDS, "the broker's certificate is signed by an authority that %s",
			setup->ca_file ? "is not in ca_file" : "this system does not know (see ca_file)");
		return true;
	case X509_V_ERR_UNSPECIFIED: /* libmosquitto's own, of the name */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(words, TLS_FAULT_WORDS, "the broker's certificate is not for the name %s", setup->host);
		return true;
	default:
		snprintf(words, TLS_FAULT_WORDS, "the broker's certificate is not accepted: %s",
			X509_verify_cert_error_string(result));
		return true;
	}
}

static const struct {
	const char *part, *words;
	bool local;
} texts[] = {
	{"alert certificate required", "the broker asks for a certificate of ours (cert_file, key_file)", false},
	{"alert certificate expired", "the broker says that our certificate (cert_file) has expired", false},
	{"alert unknown ca", "the broker does not know the authority of our certificate (cert_file)", false},
	{"alert bad certificate", "the broker does not accept our certificate (cert_file)", false},
	{"alert unsupported certificate", "the broker does not accept our certificate (cert_file)", false},
	{"alert certificate revoked", "the broker says that our certificate (cert_file) is revoked", false},
	{"alert certificate unknown", "the broker does not accept our certificate (cert_file)", false},
	{"alert protocol version", "the broker speaks no TLS 1.2 or newer", false},
	{"unsupported protocol", "the broker speaks no TLS 1.2 or newer", false},
	{"wrong version number", "what answers at this port speaks no TLS: mqtt:// and not mqtts://?", false},
	{"unexpected eof", "closed within the handshake: a port without TLS (mqtt:// and not mqtts://)?", false},
	{"key values mismatch", "key_file does not belong to cert_file", true},
	/* libmosquitto's own words, which come before OpenSSL's */
	{"load client key", "key_file can't be used, or does not belong to cert_file", true},
	{"load client certificate", "cert_file can't be used", true},
	{"load CA certificates", "ca_file can't be used", true},
};

long tls_fault_verified(const void *ssl)
{
	return SSL_get_verify_result(ssl);
}

bool tls_fault(long verified, const char *text, const struct tls_setup *setup, char words[static TLS_FAULT_WORDS])
{
	/* OpenSSL's number before any verification is UNSPECIFIED, too. */
	bool looked_at = verified != X509_V_ERR_UNSPECIFIED || strstr(text, "verif");
	if (looked_at && words_of_verification(verified, setup, words))
		return false;
	if (strstr(text, "host name verification failed")) {
		words_of_verification(X509_V_ERR_HOSTNAME_MISMATCH, setup, words);
		return false;
	}
	/* TLS 1.2 has no alert of its own for a certificate that is missing. */
	bool missing = strstr(text, "alert handshake failure") && !setup->cert_file;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (strstr(text, texts[i].part) || (missing && i == 0)) {
			snprintf(words, TLS_FAULT_WORDS, "%s", texts[i].words);
			return texts[i].local;
		}
	snprintf(words, TLS_FAULT_WORDS, "%s", text[0] ? text : "the handshake failed");
	return false;
}
