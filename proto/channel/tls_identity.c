/* tls_identity.c - makes a server's key and the certificate that shows it; see tls.h.
 *
 * Devices look at nothing in the certificate but its key. The rest is for browsers, whose person accepts or imports it
 * once: they want a name in subjectAltName (RFC 9110 section 4.3.4; the common name counts for nothing), a version 3
 * leaf that may sign a handshake, and the purpose of a server. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "proto/channel/tls.h"
#include "proto/err.h"

#define COMMON_NAME_BYTES_MAX 64 /* RFC 5280 appendix A.1 */
#define LOOPBACK_NAMES "DNS:localhost,IP:127.0.0.1,IP:::1"

/* Nobody compares this one: a name that does not fit is replaced. */
static bool set_name(X509 *certificate, const char *common_name) {
    const char *name = *common_name && strlen(common_name) <= COMMON_NAME_BYTES_MAX ? common_name : "leadpool";
    X509_NAME *subject = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1;
}

static bool set_extension(X509 *certificate, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool good = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* OpenSSL's reader stops at white space; the notation of extensions does not. */
static bool is_address(const char *text) {
    if (text[strspn(text, "0123456789abcdefABCDEF.:")] != '\0')
        return false;
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_OCTET_STRING_free(address);
    return address != NULL;
}

/* Letters, digits, hyphens and dots: what certificates may carry (RFC 5280 section 4.2.1.6), and nothing that means
 * something in OpenSSL's notation of extensions. */
static bool is_host_name(const char *text) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    return *text && *text != '.' && strlen(text) < 254 && text[strspn(text, allowed)] == '\0';
}

static bool set_alternative_names(X509 *certificate, const char *common_name) {
    char names[320] = LOOPBACK_NAMES;
    if (is_address(common_name))
        snprintf(names, sizeof names, "IP:%s," LOOPBACK_NAMES, common_name);
    else if (is_host_name(common_name))
        snprintf(names, sizeof names, "DNS:%s," LOOPBACK_NAMES, common_name);
    return set_extension(certificate, NID_subject_alt_name, names);
}

static bool set_purpose(X509 *certificate) {
    return set_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           set_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
           set_extension(certificate, NID_ext_key_usage, "serverAuth");
}

static bool set_dates(X509 *certificate) {
    return ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20200101000000Z") == 1 &&
           ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "21200101000000Z") == 1;
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *key, const char *common_name) {
    uint64_t serial;
    if (RAND_bytes((unsigned char *)&serial, sizeof serial) != 1)
        return false;
    return X509_set_version(certificate, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1 &&
           set_dates(certificate) && set_name(certificate, common_name) && X509_set_pubkey(certificate, key) == 1 &&
           set_purpose(certificate) && set_alternative_names(certificate, common_name) &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static void append_bio(buf *out, BIO *bio) {
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    if (size > 0)
        buf_append(out, data, (size_t)size);
}

lp_err tls_identity_make(const char *common_name, buf *key_pem_out, buf *certificate_pem_out, lp_error *error) {
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *key_bio = BIO_new(BIO_s_secmem());
    BIO *certificate_bio = BIO_new(BIO_s_mem());
    bool good = key && certificate && key_bio && certificate_bio && fill_certificate(certificate, key, common_name) &&
                PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                PEM_write_bio_X509(certificate_bio, certificate) == 1;
    if (good) {
        append_bio(key_pem_out, key_bio);
        append_bio(certificate_pem_out, certificate_bio);
    }
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good && !key_pem_out->failed && !certificate_pem_out->failed ? LP_OK : err_plain(error, LP_NOMEM);
}
