# Who may call what: every public function, and every relation that the application reads, is really called by each kind of caller,
# in a transaction that is rolled back. The table in docs/reference.md must say what came out, cell by cell.
#
# "yes" is an answer; "no rows", "null" and "false" are the answer; anything else is the SQLSTATE. After a change, review what the
# test prints and put it into the reference.
#
# All of it once more by a caller whose search_path begins with a schema and temporary tables that are made to be mistaken for ours and
# PostgreSQL's: nothing of them is called, and the answers are the same.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

# ---- a world with one of each ----

# Who calls, by the subject of the token; "other" is the admin of another org and acts on objects of the first.
my @callers = (
	[ anonymous => undef ],
	[ unprovisioned => 'stranger' ],
	[ 'no org' => 'idle' ],
	[ viewer => 'viewer' ],
	[ member => 'member' ],
	[ admin => 'admin' ],
	[ 'other admin' => 'other' ],
	[ disabled => 'disabled' ],
	[ suspended => 'suspended' ],
	[ superadmin => 'root' ],
	[ DBA => undef ]);

my $node = start_node('who_may_call');

sub sql { return $node->safe_psql('postgres', "SET client_min_messages = warning;\n$_[0]", extra_params => ['-q']) }

sql(<<'SQL');
SELECT minting.enrol(s, 'acme', r) FROM (VALUES ('viewer', 'viewer'), ('member', 'member'), ('admin', 'admin'), ('target', 'member'), ('disabled', 'admin')) v (s, r);
SELECT minting.enrol('other', 'beta', 'admin'), minting.enrol('suspended', 'frozen', 'admin'), minting.enrol('idle', 'beta'), minting.enrol('root', 'beta');
DELETE FROM tenancy.memberships WHERE user_id IN (minting.user_id('idle'), minting.user_id('root'));
INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
CREATE TABLE note (id int PRIMARY KEY, body text);
SELECT tenancy.protect('note');
GRANT ALL ON note TO regress_tenancy_app;
INSERT INTO note SELECT 1, 'of acme', id FROM tenancy.organizations WHERE slug = 'acme';
CREATE TABLE open_table (id int);
CREATE TABLE closed_table (id int);
SELECT tenancy.protect('closed_table');
INSERT INTO tenancy.organizations (slug, name, status) VALUES ('old', 'Old', 'archived');
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'frozen';
UPDATE tenancy.users SET status = 'disabled' WHERE id = minting.user_id('disabled');
WITH role AS (INSERT INTO tenancy.roles (org_id, name) SELECT id, 'packer' FROM tenancy.organizations WHERE slug = 'acme' RETURNING id)
INSERT INTO tenancy.role_permissions SELECT id, 'note', 'read' FROM role;
CREATE ROLE who_sync;
SQL

my ($invitation, $secret) = split /\|/, sql(
	"SET tenancy.org = 'acme'; SELECT invitation_id, invite_token FROM tenancy.invite('stranger\@example.com', 'member', any_email => true)");
my %variables = (
	invitation => $invitation,
	secret => $secret,
	acme => sql("SELECT id FROM tenancy.organizations WHERE slug = 'acme'"),
	target => sql("SELECT minting.user_id('target')"),
	jwks => sql("SELECT minting.jwks('clerk')"));
my %token = map { $_ => mint($node, qq({"sub":"$_","email":"$_\@example.com","email_verified":true})) } grep { defined } map { $_->[1] } @callers;

# ---- a call of each ----

# What the label begins with is what is called; what it works on is the first org's.
my @samples = (
	'Session',
	[ 'session' => 'SELECT * FROM tenancy.session()' ],
	[ 'begin_session' => "SELECT * FROM tenancy.begin_session(:'token')" ],
	[ 'current_user_id' => 'SELECT tenancy.current_user_id()' ],
	[ 'current_org' => 'SELECT tenancy.current_org()' ],
	[ 'claims' => 'SELECT tenancy.claims()' ],
	[ 'is_superadmin' => 'SELECT tenancy.is_superadmin()' ],
	[ 'is_administrator' => 'SELECT tenancy.is_administrator()' ],
	[ 'assert_administrator' => "SELECT tenancy.assert_administrator('do that')" ],
	[ 'my_orgs' => 'SELECT * FROM tenancy.my_orgs()' ],
	[ 'switch_org' => "SELECT tenancy.switch_org('acme')" ],
	[ 'set_default_org' => "SELECT tenancy.set_default_org('acme')" ],
	'Onboarding and invitations',
	[ 'provision_user' => 'SELECT * FROM tenancy.provision_user()' ],
	[ 'create_org' => "SELECT tenancy.create_org('New')" ],
	[ 'create_org with `admin_email`' => "SELECT tenancy.create_org('New', NULL, 'new\@example.com')" ],
	[ 'invite' => "SELECT * FROM tenancy.invite('new\@example.com')" ],
	[ 'invite as admin' => "SELECT * FROM tenancy.invite('new\@example.com', 'admin')" ],
	[ 'accept_invitation' => "SELECT tenancy.accept_invitation(:'secret')" ],
	[ 'revoke_invitation' => "SELECT tenancy.revoke_invitation(:'invitation')" ],
	[ 'list_invitations' => 'SELECT * FROM tenancy.list_invitations()' ],
	[ 'my_invitations' => 'SELECT * FROM tenancy.my_invitations()' ],
	'Members and roles',
	[ 'members' => "SELECT * FROM tenancy.members WHERE user_id = :'target'" ],
	[ 'set_member_roles' => "SELECT tenancy.set_member_roles(:'target', '{viewer}')" ],
	[ 'remove_member' => "SELECT tenancy.remove_member(:'target')" ],
	[ 'leave_org' => 'SELECT tenancy.leave_org()' ],
	[ 'create_role' => "SELECT tenancy.create_role('cook')" ],
	[ 'drop_role' => "SELECT tenancy.drop_role('packer')" ],
	[ 'grant_permission to an org\'s role' => "SELECT tenancy.grant_permission('packer', 'update', 'note')" ],
	[ 'revoke_permission of an org\'s role' => "SELECT tenancy.revoke_permission('packer', 'read', 'note')" ],
	[ 'grant_permission to a built-in role' => "SELECT tenancy.grant_permission('member', 'delete', 'note')" ],
	[ 'revoke_permission of a built-in role' => "SELECT tenancy.revoke_permission('member', 'update', 'note')" ],
	'Permissions',
	[ 'can_i' => "SELECT tenancy.can_i('update', 'note')" ],
	[ 'current_org_if' => "SELECT tenancy.current_org_if('update', 'note')" ],
	[ 'require' => "SELECT tenancy.require('update', 'note')" ],
	[ 'require_org' => "SELECT tenancy.require_org('update', 'note')" ],
	[ 'my_permissions' => 'SELECT * FROM tenancy.my_permissions()' ],
	[ 'explain_can_i' => "SELECT * FROM tenancy.explain_can_i('update', 'note')" ],
	[ 'why_not' => "SELECT passed FROM tenancy.why_not('note', '1') LIMIT 1" ],
	[ 'can_user' => "SELECT tenancy.can_user(:'target', 'update', 'note')" ],
	[ 'who_can' => "SELECT * FROM tenancy.who_can('update', 'note')" ],
	[ 'permission_matrix of an org\'s role' => "SELECT * FROM tenancy.permission_matrix WHERE org_id = :'acme'" ],
	[ 'permission_matrix of built-in roles' => 'SELECT * FROM tenancy.permission_matrix WHERE org_id IS NULL' ],
	[ 'resource_types' => 'SELECT * FROM tenancy.resource_types' ],
	[ 'resource_types, INSERT' => "INSERT INTO tenancy.resource_types (name) VALUES ('rocket') RETURNING name" ],
	[ 'add_resource_type' => "SELECT tenancy.add_resource_type('rocket')" ],
	[ 'require_fresh_authentication' => "SELECT tenancy.require_fresh_authentication('delete', 'note', '5 minutes')" ],
	[ 'cross_org_active' => 'SET LOCAL tenancy.cross_org = on; SELECT tenancy.cross_org_active()' ],
	'Orgs and users of the installation',
	[ 'orgs' => "SELECT * FROM tenancy.orgs WHERE slug = 'acme'" ],
	[ 'suspend_org' => "SELECT tenancy.suspend_org('acme', 'unpaid')" ],
	[ 'resume_org' => "SELECT tenancy.resume_org('frozen')" ],
	[ 'archive_org' => "SELECT tenancy.archive_org('acme')" ],
	[ 'rename_org' => "SELECT tenancy.rename_org('acme', 'Acme Incorporated')" ],
	[ 'purge_org' => "SELECT * FROM tenancy.purge_org('old')" ],
	[ 'add_superadmin' => "SELECT tenancy.add_superadmin(:'target')" ],
	[ 'remove_superadmin' => "SELECT tenancy.remove_superadmin(:'target')" ],
	[ 'disable_user' => "SELECT tenancy.disable_user(:'target')" ],
	[ 'enable_user' => "SELECT tenancy.enable_user(:'target')" ],
	[ 'revoke_tokens' => "SELECT tenancy.revoke_tokens(:'target')" ],
	[ 'act_as' => "SELECT tenancy.act_as(:'target', 'ticket 1')" ],
	[ 'stop_acting' => 'SELECT tenancy.stop_acting()' ],
	[ 'audit_log' => "SELECT * FROM tenancy.audit_log WHERE org_id = :'acme'" ],
	'Provider synchronisation',
	[ 'sync_org' => "SELECT tenancy.sync_org('https://clerk.test', 'org_1', 'Synced')" ],
	[ 'sync_member' => "SELECT tenancy.sync_member('https://clerk.test', 'org_1', 'user_1', 'member')" ],
	[ 'sync_user_deleted' => "SELECT tenancy.sync_user_deleted('https://clerk.test', 'target')" ],
	[ 'grant_sync' => "SELECT tenancy.grant_sync('who_sync')" ],
	[ 'revoke_sync' => "SELECT tenancy.revoke_sync('who_sync')" ],
	'Trust and set-up',
	[ 'trust_issuer' => "SELECT tenancy.trust_issuer('https://new.test', :'jwks')" ],
	[ 'import_jwks' => "SELECT * FROM tenancy.import_jwks('https://clerk.test', :'jwks')" ],
	[ 'distrust_issuer' => "SELECT tenancy.distrust_issuer('https://app.test')" ],
	[ 'grant_access' => "SELECT tenancy.grant_access('who_sync')" ],
	[ 'revoke_access' => "SELECT tenancy.revoke_access('who_sync')" ],
	[ 'close_statistics' => 'SELECT tenancy.close_statistics()' ],
	[ 'protect' => "SELECT tenancy.protect('open_table')" ],
	[ 'unprotect' => "SELECT tenancy.unprotect('closed_table')" ],
	[ 'guard_schema' => "SELECT tenancy.guard_schema('public')" ],
	[ 'unguard_schema' => "SELECT tenancy.unguard_schema('guarded')" ],
	[ 'share_table' => "SELECT tenancy.share_table('public', 'open_table')" ],
	[ 'unshare_table' => "SELECT tenancy.unshare_table('public', 'shared_table')" ],
	[ 'allow_pushdown' => "SELECT tenancy.allow_pushdown('{network}')" ],
	[ 'revoke_pushdown' => 'SELECT tenancy.revoke_pushdown()' ],
	[ 'pushdown_status' => 'SELECT * FROM tenancy.pushdown_status()' ],
	[ 'doctor' => 'SELECT * FROM tenancy.doctor()' ],
	[ 'verify_isolation' => 'SELECT * FROM tenancy.verify_isolation()' ],
	[ 'protected_tables' => "SELECT * FROM tenancy.protected_tables WHERE table_name = 'note'" ],
	[ 'protection_list' => "SELECT * FROM tenancy.protection_list() WHERE table_name = 'note'" ]);

sub called { return $_[0] =~ /^(\w+)/ ? $1 : die "$_[0] calls nothing\n" }

# ---- what comes out ----

# What each sample answers this caller. Administrators say on which org they work.
sub answers
{
	my ($name, $subject, $search_path) = @_;
	my $script = "\\set VERBOSITY sqlstate\n\\pset null null\n";
	my $stdout;
	my %answer;

	$script .= "\\o /dev/null\nSELECT statement FROM hostile.decoys \\gexec\n\\o\n" if $search_path;
	for my $i (0 .. $#samples)
	{
		my $sample = $samples[$i];
		next unless ref $sample;
		$script .= "BEGIN;\n";
		$script .= "SET LOCAL tenancy.session_token = :'token';\n" if defined $subject;
		$script .= "SET LOCAL tenancy.org = 'acme';\n" if $name =~ /^(superadmin|DBA)$/;
		my $statement = $sample->[1];
		if ($search_path)
		{
			$script .= "SET LOCAL search_path = $search_path;\n";
			$statement =~ s/ = (?=[:'])/ OPERATOR(pg_catalog.=) /g;
		}
		$script .= "\\echo >\n$statement;\n\\echo < :SQLSTATE $i\nROLLBACK;\n";
	}
	$node->psql(
		'postgres', $script,
		on_error_stop => 0,
		stdout => \$stdout,
		stderr => \my $stderr,
		extra_params => [
			($name eq 'DBA' ? () : ('-U', 'regress_tenancy_app')),
			map { ('-v', "$_->[0]=$_->[1]") } [ token => defined $subject ? $token{$subject} : '' ], map { [ $_ => $variables{$_} ] } sort keys %variables
		]);
	while ($stdout =~ /^>\n(.*?)^< (\w{5}) (\d+)$/gms)
	{
		my ($rows, $sqlstate, $i) = ($1, $2, $3);

		$answer{$samples[$i][0]} = $sqlstate ne '00000' ? $sqlstate : $rows eq '' ? 'no rows' : $rows eq "null\n" ? 'null' : $rows eq "f\n" ? 'false' : 'yes';
	}
	return \%answer;
}

my %answer = map { $_->[0] => answers(@$_) } @callers;

sub heading { return "| | " . join(' | ', map { $_->[0] } @callers) . " |\n|" . ' --- |' x (@callers + 1) . "\n" }

sub cells
{
	my ($label) = @_;
	return join ' | ', map { $answer{$_->[0]}{$label} // 'nothing' } @callers;
}

my $table = '';
for my $sample (@samples)
{
	$table .= ref $sample ? '| ' . ($sample->[0] =~ s/^(\w+)/`$1`/r) . ' | ' . cells($sample->[0]) . " |\n" : "\n$sample:\n\n" . heading();
}

# ---- what the reference says ----

my $reference = slurp_file('docs/reference.md');
my ($section) = $reference =~ /^## Who may call what\n(.*?)(?=^## )/ms;
my @public = grep { sql("SELECT 1 WHERE EXISTS (SELECT FROM pg_proc WHERE proname = '$_' AND pronamespace = 'tenancy'::regnamespace)"
		  . " OR to_regclass('tenancy.$_') IS NOT NULL") } $reference =~ /^### tenancy\.(\w+)$/gm;
my %sampled = map { called($_->[0]) => 1 } grep { ref } @samples;

is_deeply([ grep { !$sampled{$_} } @public ], [], 'every public function and relation is called');
is_deeply([ grep { my $name = $_; !grep { $_ eq $name } @public } sort keys %sampled ], [], 'and nothing else');
ok(defined $section, 'docs/reference.md has the section "Who may call what"');

my %documented = ($section // '') =~ /^\| `(\w+`[^|]*) \| (.*) \|$/gm;
my $differences = 0;
for my $sample (grep { ref } @samples)
{
	my $label = $sample->[0] =~ s/^(\w+)/$1`/r;

	$differences += !is(delete $documented{$label}, cells($sample->[0]), $sample->[0]);
}
$differences += !is_deeply([ sort keys %documented ], [], 'the reference lists nothing else');
diag("What came out:\n$table") if $differences;

# ---- the same with a hostile search_path ----

# As many of PostgreSQL's functions and operators, and all functions of ours, as can be made anew; and tables of the names of ours.
sql(<<'SQL');
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.hijacked() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'hijacked as %', current_user; RAISE EXCEPTION 'hijacked' USING ERRCODE = 'HJ000'; END $$;
CREATE TABLE hostile.failed (statement text);
CREATE PROCEDURE hostile.make(statement text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	INSERT INTO hostile.failed VALUES (statement);
END
$$;
DO $$
DECLARE
	types oid[] := '{uuid,text,name,boolean,smallint,integer,bigint,oid,timestamptz,interval,jsonb,bytea,text[],name[],oid[],uuid[],"char",regclass,regprocedure,regrole,regnamespace,regtype,anyarray,anyelement}'::regtype[];
	statement text;
BEGIN
	FOR statement IN SELECT format('CREATE FUNCTION hostile.%I(%s) RETURNS %s%s LANGUAGE plpgsql AS %L', p.proname, pg_get_function_identity_arguments(p.oid), CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END,
			CASE WHEN p.pronamespace = 'tenancy'::regnamespace OR p.prorettype = 'record'::regtype THEN 'text' ELSE format_type(p.prorettype, NULL) END, 'BEGIN PERFORM hostile.hijacked(); END')
		FROM pg_proc p WHERE p.prokind = 'f' AND (p.pronamespace = 'tenancy'::regnamespace OR p.pronamespace = 'pg_catalog'::regnamespace AND p.proargtypes::oid[] <@ types AND p.provariadic = 0) LOOP
		CALL hostile.make(statement);
	END LOOP;
	FOR statement IN SELECT format('CREATE FUNCTION hostile.format(%s) RETURNS text LANGUAGE plpgsql AS %L', a, 'BEGIN PERFORM hostile.hijacked(); END') FROM unnest('{text,"text,text","text,text,text","text,name","text,name,name","text,regclass"}'::text[]) a LOOP
		CALL hostile.make(statement);
	END LOOP;
	FOR statement IN SELECT format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.%I%s, RIGHTARG = %s)', o.oprname, p.proname, CASE WHEN o.oprleft <> 0 THEN ', LEFTARG = ' || format_type(o.oprleft, NULL) ELSE '' END, format_type(o.oprright, NULL))
		FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft = ANY (0 || types) AND o.oprright = ANY (types) LOOP
		CALL hostile.make(statement);
	END LOOP;
END
$$;
CREATE TABLE hostile.decoys AS SELECT format('CREATE TEMPORARY TABLE %I (%s)', c.relname, string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)) AS statement
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.oid;
INSERT INTO hostile.decoys SELECT format('CREATE TEMPORARY TABLE %I (%s)', c.relname, string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname IN ('pg_class', 'pg_proc', 'pg_namespace', 'pg_policy', 'pg_roles', 'pg_attribute', 'pg_constraint') AND c.relnamespace = 'pg_catalog'::regnamespace
	AND a.attnum > 0 AND a.atttypid <> 'anyarray'::regtype GROUP BY c.oid;
GRANT SELECT ON hostile.decoys TO PUBLIC;
SQL
cmp_ok(sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace"), '>', 1000, 'there are many functions to call by mistake');
cmp_ok(sql("SELECT count(*) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace"), '>', 200, 'and operators');
cmp_ok(sql("SELECT count(*) FROM hostile.failed"), '<', 300, 'few could not be made');
is(sql("SELECT count(*) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace AND oprname IN ('=', '<>', '||', '<') AND oprleft IN ('uuid'::regtype, 'text'::regtype, 'name'::regtype, 'oid'::regtype)
	AND oprright = oprleft"), '13', 'the most usual ones among them');
like((as_app($node, "SET search_path = hostile, pg_catalog; SELECT 'a'::text = 'a'::text"))[1], qr/hijacked/, 'a caller would notice');

my $log = -s $node->logfile;
for my $caller (@callers)
{
	is_deeply(answers(@$caller, 'hostile, pg_temp, public, pg_catalog'), $answer{$caller->[0]}, "$caller->[0]: the same answers");
}
is(join('', grep { /LOG:  hijacked/ } split /^/m, substr slurp_file($node->logfile), $log), '', 'nothing else was called');

$node->stop;
done_testing();
