# Tenants with everything that a dump, a restore or an upgrade could lose, and whether they are as they were: every row and privilege, and
# what everybody sees by their token.
package RestoreTest;

use strict;
use warnings;
use Exporter 'import';

use Test::More;
use TenancyTest;

our @EXPORT = qw(fill is_restored is_stored app token);

my (%token, $seen, $stored);

# fill(NODE): its database postgres, which is what the others are compared with from then on.
sub fill
{
	my ($node) = @_;

	$node->safe_psql('postgres', q{
		SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'acme', 'member'), minting.enrol('carl', 'acme', 'viewer'), minting.enrol('carl', 'beta', 'admin'),
			minting.enrol('dora', 'beta', 'member'), minting.enrol('eve', 'beta', 'member'), minting.enrol('fay', 'shut', 'admin'), minting.enrol('root', 'beta', 'viewer'), minting.enrol('gus', 'acme', 'viewer');
		UPDATE tenancy.users SET status = 'disabled' WHERE name = 'eve';
		UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 hour' WHERE name = 'gus';
		UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'unpaid' WHERE slug = 'shut';
		INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
		INSERT INTO tenancy.org_external_ids SELECT i.id, 'org_beta', o.id FROM tenancy.issuers i, tenancy.organizations o WHERE i.issuer = 'https://clerk.test' AND o.slug = 'beta';

		-- A resource type of which one default grant is taken back and a shipped grant that is.
		SELECT tenancy.add_resource_type('report', '{read,create,export}');
		SELECT tenancy.revoke_permission('member', 'create', 'report');
		SELECT tenancy.grant_permission('viewer', 'export', 'report');
		SELECT tenancy.revoke_permission('member', 'read', 'member');
		SELECT tenancy.grant_permission('viewer', 'read', 'audit');
		-- An org's own role.
		INSERT INTO tenancy.roles (org_id, name, description) SELECT id, 'clerk', 'Writes reports' FROM tenancy.organizations WHERE slug = 'acme';
		INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT id, 'report', 'create' FROM tenancy.roles WHERE name = 'clerk';
		INSERT INTO tenancy.membership_roles SELECT minting.user_id('bob'), org_id, id FROM tenancy.roles WHERE name = 'clerk';
		INSERT INTO tenancy.invitations (org_id, email, role_id, token_hash, expires_at)
		SELECT o.id, 'new@acme.test', r.id, sha256('secret'), now() + interval '1 day' FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = 'acme' AND r.name = 'clerk';

		CREATE TABLE note (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
		SELECT tenancy.protect('note');
		CREATE TABLE paper (body text) PARTITION BY LIST (body);
		CREATE TABLE paper_rest PARTITION OF paper DEFAULT;
		SELECT tenancy.protect('paper', 'report');
		INSERT INTO note (body, org_id) SELECT o.slug || n, o.id FROM tenancy.organizations o, generate_series(1, 3) n WHERE o.slug IN ('acme', 'beta', 'shut');
		INSERT INTO paper SELECT 'paper of ' || o.slug, o.id FROM tenancy.organizations o WHERE o.slug IN ('acme', 'beta');
		GRANT SELECT, INSERT, UPDATE, DELETE ON note, paper TO regress_tenancy_app;
		SELECT tenancy.revoke_permission('viewer', 'read', 'note');

		-- A schema that protects its new tables, one that refuses others, and tables that are meant for everybody.
		CREATE SCHEMA guarded;
		CREATE SCHEMA strict;
		SELECT tenancy.guard_schema('guarded'), tenancy.share_table('guarded', 'country'), tenancy.share_table('strict', 'unit');
		CREATE TABLE guarded.letter (id int PRIMARY KEY, body text);
		CREATE TABLE guarded.bill (id int, at date) PARTITION BY RANGE (at);
		CREATE TABLE guarded.bill_2025 PARTITION OF guarded.bill FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
		CREATE TABLE guarded.country (code text);
		CREATE TABLE strict.unit (code text);
		CREATE TABLE strict.file (id int);
		SELECT tenancy.protect('strict.file');
		SELECT tenancy.guard_schema('strict', 'refuse');
		INSERT INTO guarded.letter (id, org_id) SELECT 1, id FROM tenancy.organizations WHERE slug = 'acme';

		-- What providers, superadmins and the users themselves have made, and the log of it.
		SELECT tenancy.sync_org('https://clerk.test', 'org_synced', 'Synced', NULL, now()), tenancy.sync_member('https://clerk.test', 'org_synced', 'hal', 'admin', now());
		SELECT tenancy.rename_org('shut', 'Shut Down');
		SELECT tenancy.require_fresh_authentication('export', 'report', '5 minutes');
		SELECT tenancy.allow_pushdown('{jsonb,array}');
		INSERT INTO tenancy.default_orgs SELECT minting.user_id('bob'), id FROM tenancy.organizations WHERE slug = 'acme';
		INSERT INTO tenancy.impersonations (superadmin_id, user_id, reason, read_only, expires_at) VALUES (minting.user_id('root'), minting.user_id('bob'), 'ticket 1', true, now() + interval '1 hour');
	});
	# A table that is empty would be compared to nothing.
	for my $table (qw(guarded_schemas shared_tables audit_events synced_events default_orgs impersonations fresh_authentications))
	{
		cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.$table"), '>', 0, "before: $table has rows");
	}
	# One that the restored database must be able to verify: the keys are in the dump.
	%token = map { $_ => mint($node, qq({"sub": "$_", "email": "$_\@dump.test", "email_verified": true})) } qw(alice bob carl dora eve fay gus root unknown);
	$token{in_beta} = mint($node, '{"sub": "carl", "o": {"id": "org_beta"}}');
	$token{newcomer} = mint($node, '{"sub": "newcomer", "email": "new@acme.test", "email_verified": true}');

	$seen = seen($node, 'postgres');
	$stored = stored($node, 'postgres');

	# That there is something to compare: the line that tells whether what was revoked is.
	like($seen, qr/^alice: active\|ok\|\S+\|acme\|Acme\|\{admin\}\|f$/m, 'before: an admin');
	like($seen, qr/^bob: active\|ok\|\S+\|acme\|Acme\|\{clerk,member\}\|f$/m, "before: an org's own role");
	like($seen, qr/^carl: pick_org/m, 'before: two orgs');
	like($seen, qr/^in_beta: active\|ok\|\S+\|beta\|/m, 'before: an org of the issuer');
	like($seen, qr/^eve: disabled/m, 'before: a disabled user');
	like($seen, qr/^gus: revoked/m, 'before: revoked tokens');
	like($seen, qr/^fay: org_suspended/m, 'before: a suspended org');
	like($seen, qr/^newcomer: acme\|\{clerk\}\|t$/m, 'before: an invitation');
	like($seen, qr/^unknown: unprovisioned/m, 'before: somebody new');
	like($seen, qr/^alice: 1\|acme1\|/m, 'before: rows');
	like($stored, qr/^\|member\|member\|read\|f\|$/m, 'before: a shipped grant is revoked');
	like($stored, qr/^\|member\|report\|create\|f\|$/m, 'before: a default grant is revoked');
	like($stored, qr/^public\|note\|org_id\|note\|f\|t$/m, 'before: a protected table');
}

# app(NODE, DATABASE, SQL): what the application gets there: output and errors as one text.
sub app
{
	my ($node, $database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql, extra_params => [ '-U', 'regress_tenancy_app' ], on_error_stop => 0);

	$err =~ s/^psql:<stdin>:\d+: //gm;
	return join "\n", grep { $_ ne '' } $out, $err;
}

# All that an application sees, whoever signs in.
sub seen
{
	my ($node, $database) = @_;

	return join "\n", map {
		my $name = $_;
		map { "$name: $_" } split /\n/, app($node, $database, "\\set VERBOSITY sqlstate
			SET tenancy.session_token = '$token{$name}';
			SELECT status, next_step, user_id, org_slug, org_name, roles, is_superadmin FROM tenancy.session();
			SELECT * FROM tenancy.my_orgs() ORDER BY slug;
			SELECT * FROM tenancy.my_permissions() ORDER BY 1, 2;
			SELECT * FROM tenancy.permission_matrix ORDER BY 1, 2, 3, 4;
			SELECT name, actions FROM tenancy.resource_types ORDER BY name;
			SELECT id, body, org_id FROM note ORDER BY id;
			SELECT * FROM paper ORDER BY body;
			BEGIN; INSERT INTO note (body) VALUES ('new') RETURNING body, org_id; ROLLBACK;
			BEGIN; INSERT INTO paper (body) VALUES ('new') RETURNING body, org_id; ROLLBACK;
			BEGIN; SET LOCAL tenancy.cross_org = on; SELECT count(*) FROM note; ROLLBACK;
			BEGIN; SELECT org_slug, roles, created FROM tenancy.provision_user(); ROLLBACK")
	} sort keys %token;
}

# Every row of the extension's tables, and what there is of policies and privileges. What CREATE EXTENSION brings is of
# another day. What a later major has beside it is left out: a privilege of the owner's, and NOT NULL as a constraint.
sub stored
{
	my ($node, $database) = @_;
	my @tables = split /\n/, $node->safe_psql($database, "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' ORDER BY 1");

	return join "\n", "", (map { "$_:\n" . $node->safe_psql($database, "SELECT r FROM (SELECT to_jsonb(t) - CASE WHEN '$_' ~ '\\.(roles|resource_types)\$' THEN 'created_at' ELSE '' END FROM $_ t) x (r) ORDER BY r::text COLLATE \"C\"") } @tables),
	  $node->safe_psql($database, q{
		SELECT * FROM tenancy.permission_matrix ORDER BY 1, 2, 3, 4;
		SELECT * FROM tenancy.protected_tables ORDER BY 1, 2;
		SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2, 3;
		SELECT oid::regclass::text, relrowsecurity, relforcerowsecurity, (SELECT string_agg(format('%s=%s%s/%s', grantee::regrole, privilege_type, CASE WHEN is_grantable THEN '*' END, grantor::regrole), ',' ORDER BY grantee::regrole::text, privilege_type)
			FROM aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE NOT (privilege_type = 'MAINTAIN' AND grantee = relowner)) FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace) ORDER BY 1;
		SELECT attrelid::regclass::text, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'tenancy.%' ORDER BY 1, 2;
		SELECT oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace ORDER BY 1;
		SELECT nspacl FROM pg_namespace WHERE nspname = 'tenancy';
		SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN ('note'::regclass, 'paper'::regclass) ORDER BY 1;
		SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2;
		SELECT tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
		SELECT evtname, evtenabled, evttags FROM pg_event_trigger ORDER BY 1;
		SELECT oid::regprocedure::text, md5(replace(pg_get_functiondef(oid), ' LEAKPROOF', '')) FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace ORDER BY 1;
		SELECT extversion, extowner::regrole, x.* FROM pg_extension, LATERAL (SELECT r::regclass::text, c FROM unnest(extconfig, extcondition) x (r, c)) x WHERE extname = 'tenancy' ORDER BY 3});
}

# is_restored(NODE, DATABASE, HOW)
sub is_restored
{
	my ($node, $database, $how) = @_;

	is_stored($node, $database, "$how: all rows, grants, policies and triggers are as they were");
	same(seen($node, $database), $seen, "$how: everybody sees what they saw");
}

# is_stored(NODE, DATABASE, NAME): its half that asks nobody.
sub is_stored
{
	my ($node, $database, $name) = @_;
	same(stored($node, $database), $stored, $name);
}

# token(WHO): of somebody whom fill() has made, or "newcomer", who is invited.
sub token
{
	my ($who) = @_;
	return $token{$who};
}

# is(), which shows but the lines that differ.
sub same
{
	my ($got, $expected, $name) = @_;
	my @missing = lines_without($expected, $got);
	my @more = lines_without($got, $expected);

	ok($got eq $expected, $name) or diag join "\n", (map { "missing: $_" } @missing), map { "too many: $_" } @more;
}

sub lines_without
{
	my ($text, $other) = @_;
	my %there = map { $_ => 1 } split /\n/, $other;

	return grep { !$there{$_} } split /\n/, $text;
}

1;
