-- Who may sign tokens: issuers, their rules and their public keys.

CREATE TABLE tenancy.issuers (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	issuer text COLLATE "C" NOT NULL UNIQUE CHECK (issuer <> '' AND pg_catalog.octet_length(issuer) <= 2048),
	audiences text[] CHECK (pg_catalog.cardinality(audiences) > 0 AND pg_catalog.array_position(audiences, NULL) IS NULL),
	authorized_parties text[] CHECK (pg_catalog.cardinality(authorized_parties) > 0 AND pg_catalog.array_position(authorized_parties, NULL) IS NULL),
	claims jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(claims) = 'object'),
	trusted boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.issuers IS 'Token issuers, their rules and where their claims sit. A distrusted issuer keeps its row, since identities refer to it.';

CREATE TABLE tenancy.signing_keys (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	issuer_id uuid NOT NULL REFERENCES tenancy.issuers ON DELETE CASCADE,
	key_id text COLLATE "C",
	algorithm text NOT NULL,
	jwk jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(jwk) = 'object'),
	added_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	UNIQUE NULLS NOT DISTINCT (issuer_id, key_id)
);
COMMENT ON TABLE tenancy.signing_keys IS 'The keys an issuer signs with, as JWK. An HMAC key is a secret: nobody but the owner reads this table.';
