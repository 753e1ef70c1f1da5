/*-------------------------------------------------------------------------
 *
 * signing.c
 *	  Keys, JWKs and signatures for the tests; see signing.h.
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "signing.h"

#define SECRET_PREFIX "oct:"

static void __attribute__((noreturn))
fail(const char *what)
{
	fprintf(stderr, "mint: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void *
must(void *pointer, const char *what)
{
	if (pointer == NULL)
		fail(what);
	return pointer;
}

char *
mint_format(const char *format,...)
{
	va_list		args;
	char	   *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		fail("out of memory");
	va_end(args);
	return text;
}

char *
mint_base64url(const void *bytes, size_t len)
{
	char	   *text = must(malloc(4 * (len / 3 + 1) + 1), "out of memory");
	int			n = EVP_EncodeBlock((unsigned char *) text, bytes, (int) len);

	while (n > 0 && text[n - 1] == '=')
		n--;
	text[n] = '\0';
	for (int i = 0; i < n; i++)
	{
		if (text[i] == '+')
			text[i] = '-';
		else if (text[i] == '/')
			text[i] = '_';
	}
	return text;
}

static MintKey *
new_key(EVP_PKEY *pkey)
{
	MintKey    *key = must(calloc(1, sizeof(MintKey)), "out of memory");

	key->pkey = pkey;
	return key;
}

MintKey *
mint_key_of_secret(const void *secret, size_t len)
{
	MintKey    *key = new_key(NULL);

	key->secret = must(malloc(len + 1), "out of memory");
	memcpy(key->secret, secret, len);
	key->secret_len = len;
	return key;
}

MintKey *
mint_key_generate(const char *kind)
{
	EVP_PKEY   *pkey = NULL;

	if (strncmp(kind, "HS", 2) == 0)
	{
		unsigned char secret[64];
		int			len = atoi(kind + 2) / 8;

		if ((len != 32 && len != 48 && len != 64) || RAND_bytes(secret, len) != 1)
			fail("unknown kind of key");
		return mint_key_of_secret(secret, (size_t) len);
	}

	if (strncmp(kind, "RS", 2) == 0 && strncmp(kind, "RSA:", 4) != 0)
		pkey = EVP_RSA_gen(2048);
	else if (strncmp(kind, "PS", 2) == 0)
		pkey = EVP_RSA_gen(2048);
	else if (strncmp(kind, "RSA:", 4) == 0)
		pkey = EVP_RSA_gen((unsigned int) atoi(kind + 4));
	else if (strcmp(kind, "ES256") == 0)
		pkey = EVP_EC_gen("P-256");
	else if (strcmp(kind, "ES384") == 0)
		pkey = EVP_EC_gen("P-384");
	else if (strcmp(kind, "ES512") == 0)
		pkey = EVP_EC_gen("P-521");
	else if (strcmp(kind, "ES256K") == 0)
		pkey = EVP_EC_gen("secp256k1");
	else if (strcmp(kind, "EdDSA") == 0 || strcmp(kind, "EdDSA:Ed25519") == 0)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (strcmp(kind, "EdDSA:Ed448") == 0)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	return new_key(must(pkey, "unknown kind of key"));
}

static MintKey *
read_secret(const char *text)
{
	size_t		len = strcspn(text, "\r\n");
	char	   *base64 = must(calloc(1, len + 5), "out of memory");
	unsigned char *secret = must(malloc(len + 5), "out of memory");
	size_t		padding = (4 - len % 4) % 4;
	MintKey    *key;

	memcpy(base64, text, len);
	for (size_t i = 0; i < len; i++)
	{
		if (base64[i] == '-')
			base64[i] = '+';
		else if (base64[i] == '_')
			base64[i] = '/';
	}
	memset(base64 + len, '=', padding);
	if (EVP_DecodeBlock(secret, (unsigned char *) base64, (int) (len + padding)) < 0)
		fail("the secret is not base64url");

	key = mint_key_of_secret(secret, (len + padding) / 4 * 3 - padding);
	free(secret);
	free(base64);
	return key;
}

MintKey *
mint_key_read(const char *path)
{
	char		text[65536];
	size_t		len;
	FILE	   *file = must(fopen(path, "r"), "cannot open the key's file");
	BIO		   *bio;
	EVP_PKEY   *pkey;

	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';

	if (strncmp(text, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0)
		return read_secret(text + strlen(SECRET_PREFIX));

	bio = must(BIO_new_mem_buf(text, (int) len), "out of memory");
	pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return new_key(must(pkey, "cannot read the key"));
}

void
mint_key_write(const MintKey *key, FILE *out)
{
	if (key->pkey == NULL)
	{
		char	   *text = mint_base64url(key->secret, key->secret_len);

		fprintf(out, SECRET_PREFIX "%s\n", text);
		free(text);
	}
	else if (PEM_write_PrivateKey(out, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		fail("cannot write the key");
}

void
mint_key_free(MintKey *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key->secret);
	free(key);
}

char *
mint_public_pem(const MintKey *key)
{
	BIO		   *bio = must(BIO_new(BIO_s_mem()), "out of memory");
	char	   *data;
	char	   *text;
	long		len;

	if (key->pkey == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		fail("the key has no public half");
	len = BIO_get_mem_data(bio, &data);
	text = must(calloc(1, (size_t) len + 1), "out of memory");
	memcpy(text, data, (size_t) len);
	BIO_free(bio);
	return text;
}

/* Appends ,"name":"base64url" to a JWK that is being written. */
static void
add_bytes(char **jwk, const char *name, const void *bytes, size_t len)
{
	char	   *value = mint_base64url(bytes, len);
	char	   *longer = mint_format("%s,\"%s\":\"%s\"", *jwk, name, value);

	free(value);
	free(*jwk);
	*jwk = longer;
}

/* The same for an integer of the key; width 0 is as short as can be. */
static void
add_number(char **jwk, const char *name, const EVP_PKEY *pkey,
		   const char *param, int width)
{
	BIGNUM	   *number = NULL;
	unsigned char bytes[MINT_MAX_SIGNATURE];

	if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1)
		fail("the key lacks a number");
	if (width == 0)
		width = BN_num_bytes(number);
	if (BN_bn2binpad(number, bytes, width) != width)
		fail("a number of the key is too long");
	add_bytes(jwk, name, bytes, (size_t) width);
	BN_clear_free(number);
}

static void
add_text(char **jwk, const char *name, const char *value)
{
	char	   *longer = mint_format("%s,\"%s\":\"", *jwk, name);

	free(*jwk);
	*jwk = longer;
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c == '"' || *c == '\\')
			longer = mint_format("%s\\%c", *jwk, *c);
		else if ((unsigned char) *c < 0x20)
			longer = mint_format("%s\\u%04x", *jwk, *c);
		else
			longer = mint_format("%s%c", *jwk, *c);
		free(*jwk);
		*jwk = longer;
	}
	longer = mint_format("%s\"", *jwk);
	free(*jwk);
	*jwk = longer;
}

static void
add_rsa(char **jwk, const EVP_PKEY *pkey, bool with_private)
{
	static const char *const names[][2] = {
		{"d", OSSL_PKEY_PARAM_RSA_D},
		{"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
		{"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
		{"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
		{"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
		{"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
	};

	add_number(jwk, "n", pkey, OSSL_PKEY_PARAM_RSA_N, 0);
	add_number(jwk, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);
	for (size_t i = 0; with_private && i < sizeof(names) / sizeof(names[0]); i++)
		add_number(jwk, names[i][0], pkey, names[i][1], 0);
}

static void
add_ec(char **jwk, const EVP_PKEY *pkey, bool with_private)
{
	int			width = (EVP_PKEY_get_bits(pkey) + 7) / 8;
	char		group[64];
	const char *crv;

	if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group,
									   sizeof(group), NULL) != 1)
		fail("the key has no curve");
	if (strcmp(group, "prime256v1") == 0)
		crv = "P-256";
	else if (strcmp(group, "secp384r1") == 0)
		crv = "P-384";
	else if (strcmp(group, "secp521r1") == 0)
		crv = "P-521";
	else
		crv = group;

	add_text(jwk, "crv", crv);
	add_number(jwk, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, width);
	add_number(jwk, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, width);
	if (with_private)
		add_number(jwk, "d", pkey, OSSL_PKEY_PARAM_PRIV_KEY, width);
}

static void
add_okp(char **jwk, const EVP_PKEY *pkey, bool with_private)
{
	unsigned char bytes[64];
	size_t		len = sizeof(bytes);

	add_text(jwk, "crv", EVP_PKEY_is_a(pkey, "ED448") ? "Ed448" : "Ed25519");
	if (EVP_PKEY_get_raw_public_key(pkey, bytes, &len) != 1)
		fail("the key has no public half");
	add_bytes(jwk, "x", bytes, len);

	len = sizeof(bytes);
	if (with_private)
	{
		if (EVP_PKEY_get_raw_private_key(pkey, bytes, &len) != 1)
			fail("the key has no private half");
		add_bytes(jwk, "d", bytes, len);
	}
}

char *
mint_jwk(const MintKey *key, const char *kid, const char *alg,
		 bool with_private)
{
	const char *kty;
	char	   *jwk;
	char	   *whole;

	if (key->pkey == NULL)
		kty = "oct";
	else if (EVP_PKEY_is_a(key->pkey, "RSA"))
		kty = "RSA";
	else if (EVP_PKEY_is_a(key->pkey, "EC"))
		kty = "EC";
	else
		kty = "OKP";

	jwk = mint_format("{\"kty\":\"%s\"", kty);
	if (kid != NULL)
		add_text(&jwk, "kid", kid);
	if (alg != NULL)
		add_text(&jwk, "alg", alg);

	if (key->pkey == NULL)
		add_bytes(&jwk, "k", key->secret, key->secret_len);
	else if (strcmp(kty, "RSA") == 0)
		add_rsa(&jwk, key->pkey, with_private);
	else if (strcmp(kty, "EC") == 0)
		add_ec(&jwk, key->pkey, with_private);
	else
		add_okp(&jwk, key->pkey, with_private);

	whole = mint_format("%s}", jwk);
	free(jwk);
	return whole;
}

static const EVP_MD *
digest_of(const char *alg)
{
	if (strncmp(alg + 2, "256", 3) == 0)
		return EVP_sha256();
	if (strncmp(alg + 2, "384", 3) == 0)
		return EVP_sha384();
	if (strncmp(alg + 2, "512", 3) == 0)
		return EVP_sha512();
	fail("unknown algorithm");
}

static size_t
sign_hmac(const MintKey *key, const char *alg, const void *input, size_t len,
		  unsigned char *signature)
{
	char	   *pem = key->pkey ? mint_public_pem(key) : NULL;
	unsigned int signature_len = 0;

	if (HMAC(digest_of(alg), pem ? (void *) pem : (void *) key->secret,
			 (int) (pem ? strlen(pem) : key->secret_len),
			 input, len, signature, &signature_len) == NULL)
		fail("cannot sign");
	free(pem);
	return signature_len;
}

/* DER to the two fixed-width integers of RFC 7518 section 3.4. */
static size_t
flatten_ecdsa(const EVP_PKEY *pkey, unsigned char *signature, size_t len)
{
	const unsigned char *der = signature;
	int			width = (EVP_PKEY_get_bits(pkey) + 7) / 8;
	ECDSA_SIG  *pair = must(d2i_ECDSA_SIG(NULL, &der, (long) len), "cannot sign");

	if (BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, width) != width ||
		BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + width, width) != width)
		fail("cannot sign");
	ECDSA_SIG_free(pair);
	return 2 * (size_t) width;
}

/*
 * What RS256 signs is 00 01 FF ... FF 00 and an ASN.1 DigestInfo with the hash,
 * to the modulus' length.  The filler is what makes up the length.  Where it
 * may stand elsewhere and the exponent is 3, nobody needs the private key: it
 * can be chosen so that the block is a cube (Bleichenbacher 2006).
 */
static const struct
{
	const char *name;
	unsigned char type;
	unsigned char padding;
	enum
	{
		PADDED, IN_DIGEST_INFO, AT_END
	}			filler;
	const char *before;			/* the hash, in hexadecimal, as what follows */
	const char *before_hash;	/* after the filler, if it is in the DigestInfo */
	const char *after;
}			forms[] = {
	{"PROPER", 1, 0xff, PADDED, "3031300d060960864801650304020105000420", "", ""},
	{"GARBAGE", 1, 0xff, AT_END, "3031300d060960864801650304020105000420", "", ""},
	{"CUBE-ROOT", 1, 0xff, AT_END, "3031300d060960864801650304020105000420", "", ""},
	/* for 2048 bits: parameters of 191 bytes in the place of none */
	{"PARAMETERS", 1, 0xff, IN_DIGEST_INFO, "3081f23081cd06096086480165030402010481bf", "0420", ""},
	{"BYTE-AFTER", 1, 0xff, PADDED, "3031300d060960864801650304020105000420", "", "00"},
	{"LONG-HASH", 1, 0xff, PADDED, "3032300d060960864801650304020105000421", "", "00"},
	{"NO-PARAMETERS", 1, 0xff, PADDED, "302f300b0609608648016503040201" "0420", "", ""},
	{"LONG-LENGTH", 1, 0xff, PADDED, "308131300d060960864801650304020105000420", "", ""},
	{"OF-SHA512", 1, 0xff, PADDED, "3031300d060960864801650304020305000420", "", ""},
	{"BARE-HASH", 1, 0xff, PADDED, "", "", ""},
	{"TYPE-0", 0, 0x00, PADDED, "3031300d060960864801650304020105000420", "", ""},
	{"TYPE-2", 2, 0xff, PADDED, "3031300d060960864801650304020105000420", "", ""},
	{"OTHER-PADDING", 1, 0xfe, PADDED, "3031300d060960864801650304020105000420", "", ""},
};

static unsigned char *
put_hex(unsigned char *to, const char *hex)
{
	for (; *hex != '\0'; hex += 2)
	{
		unsigned int byte;

		if (sscanf(hex, "%2x", &byte) != 1)
			fail("no hexadecimal");
		*to++ = (unsigned char) byte;
	}
	return to;
}

/* The greatest number whose cube is not above that of the block. */
static size_t
cube_root(const unsigned char *block, size_t size, unsigned char *signature)
{
	BN_CTX	   *context = must(BN_CTX_new(), "out of memory");
	BIGNUM	   *cube = must(BN_bin2bn(block, (int) size, NULL), "out of memory");
	BIGNUM	   *root = must(BN_new(), "out of memory");
	BIGNUM	   *power = must(BN_new(), "out of memory");

	for (int bit = (int) size * 8 / 3; bit >= 0; bit--)
	{
		if (BN_set_bit(root, bit) != 1 || BN_sqr(power, root, context) != 1 ||
			BN_mul(power, power, root, context) != 1)
			fail("cannot sign");
		if (BN_cmp(power, cube) > 0)
			BN_clear_bit(root, bit);
	}
	if (BN_bn2binpad(root, signature, (int) size) != (int) size)
		fail("cannot sign");
	BN_free(power);
	BN_free(root);
	BN_free(cube);
	BN_CTX_free(context);
	return size;
}

/* RS256 of a form of its own. */
static size_t
sign_form(const MintKey *key, const char *name, const void *input, size_t len,
		  unsigned char *signature)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t		size = (size_t) EVP_PKEY_get_size(key->pkey);
	size_t		signature_len = MINT_MAX_SIGNATURE;
	size_t		form = 0;
	size_t		filler;
	unsigned char block[MINT_MAX_SIGNATURE];
	unsigned char *p = block;

	while (form < sizeof(forms) / sizeof(forms[0]) && strcmp(forms[form].name, name) != 0)
		form++;
	if (form == sizeof(forms) / sizeof(forms[0]))
		fail("unknown form of a signature");

	filler = size - 3 - 32 - (strlen(forms[form].before) +
							  strlen(forms[form].before_hash) + strlen(forms[form].after)) / 2;
	memset(block, forms[form].padding, sizeof(block));
	*p++ = 0;
	*p++ = forms[form].type;
	p += forms[form].filler == PADDED ? filler : 8;
	*p++ = 0;
	p = put_hex(p, forms[form].before);
	if (forms[form].filler == IN_DIGEST_INFO)
		p += filler - 8;
	p = put_hex(p, forms[form].before_hash);
	if (EVP_Digest(input, len, p, NULL, EVP_sha256(), NULL) != 1)
		fail("cannot sign");
	p = put_hex(p + 32, forms[form].after);
	if (forms[form].filler == AT_END)
		p += filler - 8;

	if (strcmp(name, "CUBE-ROOT") == 0)
		signature_len = cube_root(block, size, signature);
	else if (p != block + size || context == NULL || EVP_PKEY_sign_init(context) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) != 1 ||
		EVP_PKEY_sign(context, signature, &signature_len, block, size) != 1)
		fail("cannot sign");
	EVP_PKEY_CTX_free(context);
	return signature_len;
}

size_t
mint_sign(const MintKey *key, const char *alg, const void *input, size_t len,
		  unsigned char *signature)
{
	EVP_MD_CTX *context;
	EVP_PKEY_CTX *options;
	size_t		signature_len = MINT_MAX_SIGNATURE;
	bool		eddsa = strcmp(alg, "EdDSA") == 0;
	const char *suits;

	if (strncmp(alg, "HS", 2) == 0)
		return sign_hmac(key, alg, input, len, signature);

	if (eddsa)
		suits = key->pkey && EVP_PKEY_is_a(key->pkey, "ED448") ? "ED448" : "ED25519";
	else if (strncmp(alg, "ES", 2) == 0)
		suits = "EC";
	else if (strncmp(alg, "RS", 2) == 0 || strncmp(alg, "PS", 2) == 0)
		suits = "RSA";
	else
		fail("unknown algorithm");
	if (key->pkey == NULL || !EVP_PKEY_is_a(key->pkey, suits))
		fail("this key cannot sign with this algorithm");

	if (strncmp(alg, "RS256:", 6) == 0)
		return sign_form(key, alg + 6, input, len, signature);

	context = must(EVP_MD_CTX_new(), "out of memory");
	if (EVP_DigestSignInit(context, &options, eddsa ? NULL : digest_of(alg),
						   NULL, key->pkey) != 1)
		fail("cannot sign");
	if (strncmp(alg, "PS", 2) == 0 &&
		(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) <= 0 ||
		 EVP_PKEY_CTX_set_rsa_pss_saltlen(options, alg[5] == ':' && alg[6] != 'M' ?
										  atoi(alg + 6) :
										  RSA_PSS_SALTLEN_DIGEST) <= 0 ||
		 (strcmp(alg + 5, ":MGF1-SHA1") == 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha1()) <= 0)))
		fail("cannot sign");
	if (EVP_DigestSign(context, signature, &signature_len, input, len) != 1)
		fail("cannot sign");
	EVP_MD_CTX_free(context);

	if (strcmp(suits, "EC") == 0 && strcmp(alg + 5, ":DER") != 0)
		signature_len = flatten_ecdsa(key->pkey, signature, signature_len);
	return signature_len;
}

char *
mint_signing_input(const void *header, size_t header_len,
				   const void *claims, size_t claims_len)
{
	char	   *first = mint_base64url(header, header_len);
	char	   *second = mint_base64url(claims, claims_len);
	char	   *input = mint_format("%s.%s", first, second);

	free(first);
	free(second);
	return input;
}

char *
mint_token(const MintKey *key, const char *alg, const char *header,
		   const char *claims)
{
	unsigned char signature[MINT_MAX_SIGNATURE];
	char	   *input = mint_signing_input(header, strlen(header),
										   claims, strlen(claims));
	size_t		len = mint_sign(key, alg, input, strlen(input), signature);
	char	   *text = mint_base64url(signature, len);
	char	   *token = mint_format("%s.%s", input, text);

	free(text);
	free(input);
	return token;
}

char *
mint_header_alg(const char *header)
{
	const char *start = strstr(header, "\"alg\"");

	if (start == NULL)
		return NULL;
	start += strlen("\"alg\"");
	start += strspn(start, " \t\r\n:");
	if (*start != '"')
		return NULL;
	start++;
	return mint_format("%.*s", (int) strcspn(start, "\""), start);
}
