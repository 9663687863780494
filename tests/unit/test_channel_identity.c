/* test_channel_identity.c - the certificate a server makes for itself: which names browsers find in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "proto/channel/tls.h"

#define LOOPBACK "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"

static X509 *make(const char *common_name) {
    buf key = {0}, pem = {0};
    assert_int_equal(tls_identity_make(common_name, &key, &pem, NULL), LP_OK);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    BIO_free(bio);
    buf_fini(&key);
    buf_fini(&pem);
    return certificate;
}

/* The alternative names as OpenSSL prints them. */
static void assert_names(const char *common_name, const char *expected) {
    char *text;
    X509 *certificate = make(common_name);
    int index = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
    assert_true(index >= 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(X509V3_EXT_print(bio, X509_get_ext(certificate, index), 0, 0), 1);
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &text);
    assert_string_equal(text, expected);
    BIO_free(bio);
    X509_free(certificate);
}

static void host_names_and_addresses_are_alternative_names(void **state) {
    (void)state;
    assert_names("leads.example", "DNS:leads.example, " LOOPBACK);
    assert_names("192.0.2.7", "IP Address:192.0.2.7, " LOOPBACK);
    assert_names("2001:db8::7", "IP Address:2001:DB8:0:0:0:0:0:7, " LOOPBACK);
}

static void names_that_are_no_hosts_are_left_out(void **state) {
    (void)state;
    char longest[300];
    snprintf(longest, sizeof longest, "%0299d", 0);
    const char *const names[] = {
        "",  "Acme Ltd", "王伟", "a,DNS:evil.example", "DNS:evil.example", "@section", "192.0.2.7 ,DNS:evil.example",
        ".", longest,
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_names(names[i], LOOPBACK);
}

static void two_servers_of_one_name_have_different_keys_and_serial_numbers(void **state) {
    (void)state;
    X509 *one = make("leadpool"), *other = make("leadpool");
    assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(one), X509_get0_pubkey(other)), 1);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(one), X509_get0_serialNumber(other)), 0);
    X509_free(one);
    X509_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_names_and_addresses_are_alternative_names),
        cmocka_unit_test(names_that_are_no_hosts_are_left_out),
        cmocka_unit_test(two_servers_of_one_name_have_different_keys_and_serial_numbers),
    };
    return cmocka_run_group_tests_name("channel_identity", tests, NULL, NULL);
}
