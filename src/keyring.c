/*-------------------------------------------------------------------------
 *
 * keyring.c
 *	  Makes verification keys of JSON Web Keys, and owns libjwt's objects.
 *
 * libjwt reads a JWK leniently: any member type, any base64, any curve that
 * OpenSSL knows, coordinates that are reduced modulo the field, a "keys"
 * member that turns the JWK into a set, a missing "alg".  So a JWK is judged
 * here first, against RFC 7517, 7518 and 8037, and libjwt is then given not
 * the JWK but a new one of the checked members alone.
 *
 * Invariants:
 *	- A TnKey is bound to one algorithm, which libjwt compares with every
 *	  token's header.  libjwt does so only if the JWK has the "alg" and
 *	  jwt_checker_setkey() is *not* told it again: told twice, it compares the
 *	  two with each other and no longer with the token.
 *	- No asymmetric key here is a private one.
 *	- Everything is malloc'd by libc, libjwt, json-c or OpenSSL, and freed on
 *	  every path.  Nothing here can ereport, so no path is cut short; that is
 *	  why this file does not include postgres.h.
 *	- No key material in a reason, nor in any output.  (json-c's own copies of
 *	  an HMAC secret cannot be overwritten; those made here are.)
 *	- OpenSSL's error queue is left as it was found, since the backend's TLS
 *	  code shares it.
 *
 *-------------------------------------------------------------------------
 */
#include <jwt.h>
#include <json-c/json.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyring.h"

#define RSA_MIN_BITS	2048
#define RSA_MAX_BITS	16384	/* OpenSSL's own limit */
#define RSA_MAX_EXPONENT_BITS	64	/* OpenSSL's own limit for large moduli */

/*
 * What a key can be.  The first row that fits a key's kty and crv is the
 * algorithm of a JWK that names none.
 */
typedef struct Algorithm
{
	const char *name;
	const char *kty;
	const char *crv;			/* NULL: the key type has no curves */
	int			nid;			/* OpenSSL's curve, for kty EC */
	size_t		member_len;		/* x (and y) of a curve; least k of oct */
	size_t		signature_len;	/* 0: as long as the RSA modulus */
	const char *pss_digest;		/* for RSASSA-PSS alone */
} Algorithm;

static const Algorithm algorithms[] = {
	{"RS256", "RSA", NULL, 0, 0, 0, NULL},
	{"RS384", "RSA", NULL, 0, 0, 0, NULL},
	{"RS512", "RSA", NULL, 0, 0, 0, NULL},
	{"PS256", "RSA", NULL, 0, 0, 0, "SHA256"},
	{"PS384", "RSA", NULL, 0, 0, 0, "SHA384"},
	{"PS512", "RSA", NULL, 0, 0, 0, "SHA512"},
	{"ES256", "EC", "P-256", NID_X9_62_prime256v1, 32, 64, NULL},
	{"ES384", "EC", "P-384", NID_secp384r1, 48, 96, NULL},
	{"ES512", "EC", "P-521", NID_secp521r1, 66, 132, NULL},
	{"EdDSA", "OKP", "Ed25519", 0, 32, 64, NULL},
	{"EdDSA", "OKP", "Ed448", 0, 57, 114, NULL},
	{"HS256", "oct", NULL, 0, 32, 32, NULL},
	{"HS384", "oct", NULL, 0, 48, 48, NULL},
	{"HS512", "oct", NULL, 0, 64, 64, NULL},
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

/* The members that make up a public key, beside kty and alg. */
typedef struct KeyType
{
	const char *kty;
	bool		asymmetric;
	const char *members[4];
} KeyType;

static const KeyType key_types[] = {
	{"RSA", true, {"n", "e", NULL}},
	{"EC", true, {"crv", "x", "y", NULL}},
	{"OKP", true, {"crv", "x", NULL}},
	{"oct", false, {"k", NULL}},
};

#define N_KEY_TYPES (sizeof(key_types) / sizeof(key_types[0]))

struct TnKey
{
	const Algorithm *algorithm;
	size_t		signature_len;
	char	   *kid;
	jwk_set_t  *jwks;			/* owns the item that checker points to */
	jwt_checker_t *checker;
	EVP_PKEY   *pss;
};

const char	tn_key_no_memory[] = "there is not enough memory";
static const char reason_missing[] = "a member that its type requires is missing or not a string";
static const char reason_base64[] = "a member is not strict base64url";

/* The value of a character plus 1; 0 if it has none. */
static const unsigned char base64url_values[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
	['-'] = 63, ['_'] = 64
};

bool
tn_base64url_decode(const char *src, size_t len, unsigned char *dst,
					size_t *dst_len)
{
	unsigned int pending = 0;
	int			bits = 0;
	size_t		n = 0;

	if (len == 0)
		return false;

	for (size_t i = 0; i < len; i++)
	{
		int			value = base64url_values[(unsigned char) src[i]] - 1;

		if (value < 0)
			return false;

		pending = (pending << 6) | (unsigned int) value;
		bits += 6;
		if (bits >= 8)
		{
			bits -= 8;
			if (dst != NULL)
				dst[n] = (unsigned char) (pending >> bits);
			n++;
			pending &= (1U << bits) - 1;
		}
	}

	/* Six bits are left over where no byte string has this length. */
	if (bits == 6 || pending != 0)
		return false;

	*dst_len = n;
	return true;
}

/* Within a string, where json-c before 0.18 lets it pass. */
static bool
has_control_character(const char *text, size_t len)
{
	bool		in_string = false;

	for (size_t i = 0; i < len; i++)
	{
		if (in_string && (unsigned char) text[i] < 0x20)
			return true;
		if (text[i] == '"')
			in_string = !in_string;
		else if (in_string && text[i] == '\\')
			i++;
	}
	return false;
}

/*
 * What json-c lets pass or hides, in a text it has accepted as one object:
 * duplicate members (the last wins) and NULs (a name ends at its first).
 * Counting the members suffices: json-c has kept as many as there are distinct
 * names.
 */
static const char *
check_object_text(const char *text, size_t len, int distinct_members)
{
	int			depth = 0;
	int			members = 0;
	bool		in_string = false;

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		if (in_string)
		{
			if (c == '"')
				in_string = false;
			else if (c == '\\')
			{
				if (len - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
					return "a string in it contains a NUL";
				i++;
			}
		}
		else if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		else if (c == ':' && depth == 1)
			members++;
	}

	return members == distinct_members ? NULL : "it has a duplicate member";
}

/* The JWK as an object of the caller's, or NULL and the reason. */
static struct json_object *
parse_jwk(const char *text, size_t len, const char **reason)
{
	struct json_tokener *tokener;
	struct json_object *jwk;
	bool		whole;

	if (len > TN_JWK_MAX_BYTES)
	{
		*reason = "it is too large";
		return NULL;
	}
	if (has_control_character(text, len))
	{
		*reason = "it is not strict JSON";
		return NULL;
	}

	tokener = json_tokener_new();
	if (tokener == NULL)
	{
		*reason = tn_key_no_memory;
		return NULL;
	}

	json_tokener_set_flags(tokener,
						   JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	jwk = json_tokener_parse_ex(tokener, text, (int) len);
	whole = json_tokener_get_error(tokener) == json_tokener_success &&
		json_tokener_get_parse_end(tokener) == len;
	json_tokener_free(tokener);

	if (!whole || !json_object_is_type(jwk, json_type_object))
		*reason = "it is not a JSON object";
	else
		*reason = check_object_text(text, len, json_object_object_length(jwk));

	if (*reason != NULL)
	{
		json_object_put(jwk);
		return NULL;
	}
	return jwk;
}

static bool
has_member(struct json_object *jwk, const char *name)
{
	return json_object_object_get_ex(jwk, name, NULL);
}

/* The text of a string member, NULL if it is absent or of another type. */
static const char *
string_member(struct json_object *jwk, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(jwk, name, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

/*
 * Decodes a base64url member into *bytes, which the caller cleanses and frees
 * (see free_bytes).  Returns a reason, or NULL if all is well.
 */
static const char *
decode_member(struct json_object *jwk, const char *name,
			  unsigned char **bytes, size_t *len)
{
	const char *text = string_member(jwk, name);
	size_t		text_len;

	if (text == NULL)
		return reason_missing;

	text_len = strlen(text);
	*bytes = malloc(text_len + 1);
	if (*bytes == NULL)
		return tn_key_no_memory;
	if (!tn_base64url_decode(text, text_len, *bytes, len))
	{
		*len = text_len;
		return reason_base64;
	}
	return NULL;
}

static void
free_bytes(unsigned char *bytes, size_t len)
{
	if (bytes != NULL)
		OPENSSL_cleanse(bytes, len);
	free(bytes);
}

/* Decodes a Base64urlUInt (RFC 7518 section 2: no leading zero octets). */
static const char *
decode_integer(struct json_object *jwk, const char *name, BIGNUM **number)
{
	unsigned char *bytes = NULL;
	size_t		len = 0;
	const char *reason = decode_member(jwk, name, &bytes, &len);

	if (reason == NULL && bytes[0] == 0)
		reason = "an RSA member has a leading zero octet";
	if (reason == NULL)
	{
		*number = BN_bin2bn(bytes, (int) len, NULL);
		if (*number == NULL)
			reason = tn_key_no_memory;
	}
	free_bytes(bytes, len);
	return reason;
}

static const char *
check_rsa(struct json_object *jwk, size_t *modulus_len)
{
	BIGNUM	   *n = NULL;
	BIGNUM	   *e = NULL;
	const char *reason = decode_integer(jwk, "n", &n);

	if (reason == NULL)
		reason = decode_integer(jwk, "e", &e);

	if (reason != NULL)
		 /* keep it */ ;
	else if (BN_num_bits(n) < RSA_MIN_BITS)
		reason = "its RSA modulus is shorter than 2048 bits";
	else if (BN_num_bits(n) > RSA_MAX_BITS)
		reason = "its RSA modulus is longer than 16384 bits";
	else if (!BN_is_odd(n))
		reason = "its RSA modulus is even";
	else if (!BN_is_odd(e) || BN_is_one(e))
		reason = "its RSA exponent is even or less than 3";
	else if (BN_num_bits(e) > RSA_MAX_EXPONENT_BITS)
		reason = "its RSA exponent is longer than 64 bits";
	else
		*modulus_len = (size_t) BN_num_bytes(n);

	BN_free(n);
	BN_free(e);
	return reason;
}

/* Decodes one coordinate, which has exactly the length of a field element. */
static const char *
decode_coordinate(struct json_object *jwk, const char *name, size_t field_len,
				  BIGNUM **number)
{
	unsigned char *bytes = NULL;
	size_t		len = 0;
	const char *reason = decode_member(jwk, name, &bytes, &len);

	if (reason == NULL && len != field_len)
		reason = "an EC coordinate does not have the length of its curve's field";
	if (reason == NULL)
	{
		*number = BN_bin2bn(bytes, (int) len, NULL);
		if (*number == NULL)
			reason = tn_key_no_memory;
	}
	free_bytes(bytes, len);
	return reason;
}

static const char *
check_ec(struct json_object *jwk, const Algorithm *algorithm)
{
	BIGNUM	   *x = NULL;
	BIGNUM	   *y = NULL;
	BIGNUM	   *p = BN_new();
	EC_GROUP   *group = EC_GROUP_new_by_curve_name(algorithm->nid);
	EC_POINT   *point = group ? EC_POINT_new(group) : NULL;
	const char *reason = decode_coordinate(jwk, "x", algorithm->member_len, &x);

	if (reason == NULL)
		reason = decode_coordinate(jwk, "y", algorithm->member_len, &y);

	if (reason != NULL)
		 /* keep it */ ;
	else if (p == NULL || point == NULL ||
			 !EC_GROUP_get_curve(group, p, NULL, NULL, NULL))
		reason = tn_key_no_memory;
	/* OpenSSL would reduce them, and so give one key many names. */
	else if (BN_cmp(x, p) >= 0 || BN_cmp(y, p) >= 0)
		reason = "an EC coordinate is not less than its curve's prime";
	else if (!EC_POINT_set_affine_coordinates(group, point, x, y, NULL))
		reason = "its EC point is not on the curve";

	EC_POINT_free(point);
	EC_GROUP_free(group);
	BN_free(p);
	BN_free(y);
	BN_free(x);
	return reason;
}

/*
 * A public key of EdDSA is the y of a point, little-endian, and the sign of its
 * x in the last bit.  A point of small order is the public half of no key, and
 * anybody can sign for it: whatever the token, one of eight signatures is good.
 * An x that nobody has filled in, all zeros, is one of them.
 */
static const char *
check_edwards_point(const unsigned char *bytes, size_t len, const char *crv)
{
	static const struct
	{
		const char *crv;
		const char *prime;
		const char *order_8;	/* y of two such points, p - y of the others */
	}			curves[] = {
		{"Ed25519", "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
		"05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"},
		{"Ed448", "fffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0"},
	};
	int			row = strcmp(crv, curves[0].crv) == 0 ? 0 : 1;
	BIGNUM	   *y = BN_lebin2bn(bytes, (int) len, NULL);
	BIGNUM	   *negative = BN_new();
	BIGNUM	   *p = NULL;
	BIGNUM	   *order_8 = NULL;
	const char *reason = NULL;

	if (y == NULL || negative == NULL ||
		BN_hex2bn(&p, curves[row].prime) == 0 ||
		BN_hex2bn(&order_8, curves[row].order_8) == 0)
		reason = tn_key_no_memory;
	else
	{
		BN_clear_bit(y, (int) len * 8 - 1);
		if (BN_cmp(y, p) >= 0)
			reason = "its x is not less than its curve's prime";
		else if (BN_sub(negative, p, y) != 1)
			reason = tn_key_no_memory;
		/* 1, 2 and 4: y is 1, -1 or 0 */
		else if (BN_is_zero(y) || BN_is_one(y) || BN_is_one(negative) ||
				 BN_cmp(y, order_8) == 0 || BN_cmp(negative, order_8) == 0)
			reason = "its point has a small order";
	}

	BN_free(order_8);
	BN_free(p);
	BN_free(negative);
	BN_free(y);
	return reason;
}

static const char *
check_okp(struct json_object *jwk, const Algorithm *algorithm)
{
	unsigned char *bytes = NULL;
	size_t		len = 0;
	const char *reason = decode_member(jwk, "x", &bytes, &len);

	if (reason == NULL && len != algorithm->member_len)
		reason = "its x does not have the length of its curve's public keys";
	if (reason == NULL)
		reason = check_edwards_point(bytes, len, algorithm->crv);
	free_bytes(bytes, len);
	return reason;
}

static const char *
check_oct(struct json_object *jwk, const Algorithm *algorithm)
{
	unsigned char *bytes = NULL;
	size_t		len = 0;
	const char *reason = decode_member(jwk, "k", &bytes, &len);

	if (reason == NULL && len < algorithm->member_len)
		reason = "its secret is shorter than the hash of its algorithm";
	free_bytes(bytes, len);
	return reason;
}

static const KeyType *
find_key_type(struct json_object *jwk, const char **reason)
{
	const char *kty = string_member(jwk, "kty");

	if (kty == NULL)
	{
		*reason = "it has no key type (kty)";
		return NULL;
	}
	for (size_t i = 0; i < N_KEY_TYPES; i++)
	{
		if (strcmp(kty, key_types[i].kty) == 0)
			return &key_types[i];
	}
	*reason = "its key type (kty) is not supported";
	return NULL;
}

static const char *
check_not_private(struct json_object *jwk)
{
	static const char *const names[] = {
		"d", "p", "q", "dp", "dq", "qi", "oth", "k"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (has_member(jwk, names[i]))
			return "it is a private key";
	}
	return NULL;
}

/* "use" and "key_ops" may be absent, but not exclude verification. */
static const char *
check_purpose(struct json_object *jwk)
{
	struct json_object *ops;
	bool		verify = false;

	if (has_member(jwk, "use"))
	{
		const char *use = string_member(jwk, "use");

		if (use == NULL || strcmp(use, "sig") != 0)
			return "its use is not \"sig\"";
	}

	if (!json_object_object_get_ex(jwk, "key_ops", &ops))
		return NULL;
	if (!json_object_is_type(ops, json_type_array))
		return "its key_ops is not an array of strings";

	for (size_t i = 0; i < json_object_array_length(ops); i++)
	{
		struct json_object *op = json_object_array_get_idx(ops, i);

		if (!json_object_is_type(op, json_type_string))
			return "its key_ops is not an array of strings";
		if (strcmp(json_object_get_string(op), "verify") == 0)
			verify = true;
	}
	return verify ? NULL : "its key_ops does not include \"verify\"";
}

static const Algorithm *
find_algorithm(struct json_object *jwk, const KeyType *type,
			   const char **reason)
{
	const char *alg = NULL;
	const char *crv = string_member(jwk, "crv");
	bool		known = false;
	bool		curves = false;
	bool		curve = false;

	if (has_member(jwk, "alg"))
	{
		alg = string_member(jwk, "alg");
		for (size_t i = 0; alg != NULL && i < N_ALGORITHMS; i++)
			known |= strcmp(alg, algorithms[i].name) == 0;
		if (!known)
		{
			*reason = "its algorithm (alg) is not supported";
			return NULL;
		}
	}

	for (size_t i = 0; i < N_ALGORITHMS; i++)
	{
		const Algorithm *row = &algorithms[i];

		if (strcmp(row->kty, type->kty) != 0)
			continue;
		if (row->crv != NULL)
		{
			curves = true;
			if (crv == NULL || strcmp(crv, row->crv) != 0)
				continue;
			curve = true;
		}
		if (alg == NULL || strcmp(alg, row->name) == 0)
			return row;
	}

	if (!curves || curve)
		*reason = "its algorithm (alg) does not fit its type or curve";
	else if (crv == NULL)
		*reason = reason_missing;
	else
		*reason = "its curve (crv) is not supported";
	return NULL;
}

static const char *
copy_kid(struct json_object *jwk, char **copy)
{
	const char *kid = string_member(jwk, "kid");

	if (kid == NULL)
		return has_member(jwk, "kid") ? "its key id (kid) is not a string" : NULL;
	if (strlen(kid) > TN_KEY_ID_MAX_BYTES)
		return "its key id (kid) is longer than 255 bytes";

	*copy = strdup(kid);
	return *copy == NULL ? tn_key_no_memory : NULL;
}

/*
 * The checked members and nothing else as a new JWK.  They are base64url or
 * names from the tables above by now, so none needs escaping.
 */
static char *
write_jwk(struct json_object *jwk, const KeyType *type,
		  const Algorithm *algorithm, size_t *size)
{
	size_t		len;
	char	   *text;

	*size = sizeof("{\"kty\":\"\",\"alg\":\"\"}") + strlen(type->kty) +
		strlen(algorithm->name);
	for (int i = 0; type->members[i] != NULL; i++)
		*size += strlen(type->members[i]) + sizeof(",\"\":\"\"") +
			strlen(string_member(jwk, type->members[i]));

	text = malloc(*size);
	if (text == NULL)
		return NULL;

	len = (size_t) snprintf(text, *size, "{\"kty\":\"%s\",\"alg\":\"%s\"",
							type->kty, algorithm->name);
	for (int i = 0; type->members[i] != NULL; i++)
		len += (size_t) snprintf(text + len, *size - len, ",\"%s\":\"%s\"",
								 type->members[i],
								 string_member(jwk, type->members[i]));
	(void) snprintf(text + len, *size - len, "}");
	return text;
}

/* The public key of a RSASSA-PSS item, for the check libjwt does not make. */
static EVP_PKEY *
read_public_key(const jwk_item_t *item)
{
	const char *pem = jwks_item_pem(item);
	BIO		   *bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;
	EVP_PKEY   *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return pkey;
}

/* Fills in the key's libjwt objects from a JWK that has passed all checks. */
static const char *
load_key(TnKey *key, struct json_object *jwk, const KeyType *type)
{
	const jwk_item_t *item;
	size_t		size;
	char	   *text;

	/* Another provider could be chosen by the environment (JWT_CRYPTO). */
	if (jwt_set_crypto_ops_t(JWT_CRYPTO_OPS_OPENSSL) != 0)
		return "libjwt was built without OpenSSL";

	text = write_jwk(jwk, type, key->algorithm, &size);
	if (text == NULL)
		return tn_key_no_memory;
	key->jwks = jwks_create_strn(text, strlen(text));
	OPENSSL_cleanse(text, size);
	free(text);

	item = jwks_item_get(key->jwks, 0);
	if (jwks_error_any(key->jwks) || item == NULL ||
		jwks_item_alg(item) != jwt_str_alg(key->algorithm->name))
		return "libjwt does not accept it";

	key->checker = jwt_checker_new();
	if (key->checker == NULL)
		return tn_key_no_memory;

	/* JWT_ALG_NONE is "as the key says", see the top of this file. */
	if (jwt_checker_setkey(key->checker, JWT_ALG_NONE, item) != 0 ||
		jwt_checker_time_leeway(key->checker, JWT_CLAIM_EXP, -1) != 0 ||
		jwt_checker_time_leeway(key->checker, JWT_CLAIM_NBF, -1) != 0)
		return "libjwt does not accept it";

	if (key->algorithm->pss_digest != NULL)
	{
		key->pss = read_public_key(item);
		if (key->pss == NULL)
			return "libjwt does not accept it";
	}
	return NULL;
}

/* Fills in a zeroed key; whatever it owns on failure is the caller's to free. */
static const char *
init_key(TnKey *key, struct json_object *jwk)
{
	const char *reason = NULL;
	const KeyType *type = find_key_type(jwk, &reason);

	if (type == NULL)
		return reason;

	if (type->asymmetric)
		reason = check_not_private(jwk);
	if (reason == NULL)
		reason = check_purpose(jwk);
	if (reason != NULL)
		return reason;

	key->algorithm = find_algorithm(jwk, type, &reason);
	if (key->algorithm == NULL)
		return reason;
	key->signature_len = key->algorithm->signature_len;

	if (strcmp(type->kty, "RSA") == 0)
		reason = check_rsa(jwk, &key->signature_len);
	else if (strcmp(type->kty, "EC") == 0)
		reason = check_ec(jwk, key->algorithm);
	else if (strcmp(type->kty, "OKP") == 0)
		reason = check_okp(jwk, key->algorithm);
	else
		reason = check_oct(jwk, key->algorithm);

	if (reason == NULL)
		reason = copy_kid(jwk, &key->kid);
	if (reason == NULL)
		reason = load_key(key, jwk, type);
	return reason;
}

bool
tn_memory_is_short(void)
{
	/* More than a verification takes; volatile, or it would be optimised away. */
	void	   *volatile probe = malloc(1 << 20);
	bool		is_short = probe == NULL;

	free(probe);
	return is_short;
}

TnKey *
tn_key_create(const char *jwk, size_t len, const char **reason)
{
	TnKey	   *key = NULL;
	struct json_object *object;

	*reason = NULL;
	ERR_set_mark();

	object = parse_jwk(jwk, len, reason);
	if (object != NULL)
	{
		key = calloc(1, sizeof(TnKey));
		*reason = key ? init_key(key, object) : tn_key_no_memory;
		json_object_put(object);
	}

	if (*reason != NULL)
	{
		if (tn_memory_is_short())
			*reason = tn_key_no_memory;
		tn_key_free(key);
		key = NULL;
	}

	ERR_pop_to_mark();
	return key;
}

void
tn_key_free(TnKey *key)
{
	if (key == NULL)
		return;

	EVP_PKEY_free(key->pss);
	jwt_checker_free(key->checker);
	jwks_free(key->jwks);
	free(key->kid);
	free(key);
}

const char *
tn_key_id(const TnKey *key)
{
	return key->kid;
}

const char *
tn_key_alg(const TnKey *key)
{
	return key->algorithm->name;
}

struct jwt_checker *
tn_key_checker(TnKey *key)
{
	return key->checker;
}

size_t
tn_key_signature_len(const TnKey *key)
{
	return key->signature_len;
}

struct evp_pkey_st *
tn_key_pss(const TnKey *key, const char **digest)
{
	*digest = key->algorithm->pss_digest;
	return key->pss;
}
