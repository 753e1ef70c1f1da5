# One connection that switches its token a million times stays as large as it was: several users, more tokens than it keeps, tokens that
# are no good, errors, rollbacks, savepoints, cursors, prepared statements, and changes by others all the while. Bounds are on what is
# allocated and on the process's resident memory, after a time to warm up. Then an extension that is dropped and made again, where
# tenancy's own memory counts alone: PL/pgSQL keeps what it has compiled of functions that are gone.
use strict;
use warnings;
use lib 'test/t';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $tokens = 150;
my $switches_a_call = 25_000;
my $warm_up = 8;
my $calls = 40;

my $node = start_node('memory', "session_preload_libraries = tenancy\nlog_statement = none\nlog_min_messages = fatal\ntenancy.session_cache_size = 64\n");
$node->safe_psql('postgres', qq{
	SELECT minting.enrol('user-' || n, 'org-' || n % 3, CASE n % 2 WHEN 0 THEN 'admin' ELSE 'viewer' END) FROM generate_series(1, 12) n;
	CREATE TABLE tokens AS SELECT n, minting.token(key, jsonb_build_object('sub', 'user-' || n % 12 + 1, 'jti', n, 'aud', 'https://app.test')) AS token
	FROM generate_series(1, $tokens) n, LATERAL (SELECT CASE n % 3 WHEN 0 THEN 'better_auth' ELSE 'clerk' END) k (key);
	INSERT INTO tenancy.identities SELECT b.id, d.subject, d.user_id FROM tenancy.issuers b, tenancy.identities d WHERE b.issuer = 'https://app.test';
	-- Every tenth is no good, in one way or another.
	UPDATE tokens SET token = CASE n / 10 % 4 WHEN 0 THEN left(token, -3) || 'AAA' WHEN 1 THEN 'not.a.token' WHEN 2 THEN repeat('x', 20000) ELSE minting.token('clerk', '{"exp": 1000, "iat": null, "sub": "user-1"}') END WHERE n % 10 = 0;
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT slug, id FROM tenancy.organizations, generate_series(1, 10);
	GRANT ALL ON note, tokens TO regress_tenancy_app;
	GRANT pg_read_all_stats TO regress_tenancy_app;
} . q{
	-- Switches the token so often. What is asked of it, and how it ends, differs from one to the next.
	CREATE PROCEDURE churn(switches int) LANGUAGE plpgsql AS $$
	DECLARE
		token text[] := (SELECT array_agg(t.token ORDER BY n) FROM tokens t);
		held CURSOR FOR SELECT body FROM note;
		found record;
	BEGIN
		FOR i IN 1 .. switches LOOP
			BEGIN
				-- Some come again at once, most are not remembered any more.
				PERFORM set_config('tenancy.session_token', token[1 + (i / 2 * 7) % cardinality(token)], i % 4 = 0);
				PERFORM set_config('tenancy.org', CASE i % 5 WHEN 0 THEN 'org-1' WHEN 1 THEN 'nowhere' ELSE '' END, i % 3 = 0);
				CASE i % 10
					WHEN 0 THEN PERFORM tenancy.session();
					WHEN 1 THEN PERFORM count(*) FROM note;
					WHEN 2 THEN PERFORM tenancy.begin_session(token[1 + i % cardinality(token)], 'org-2');
					WHEN 3 THEN PERFORM tenancy.require('delete', 'note');
					WHEN 4 THEN INSERT INTO note VALUES ('x');
					WHEN 5 THEN
						EXECUTE 'PREPARE kept AS SELECT count(*) FROM note WHERE body = $1';
						EXECUTE 'EXECUTE kept (''x'')';
						EXECUTE 'DEALLOCATE kept';
					WHEN 6 THEN
						OPEN held;
						FETCH held INTO found;
						CLOSE held;
					WHEN 7 THEN PERFORM tenancy.claims(), tenancy.my_permissions();
					ELSE PERFORM tenancy.can_i('read', 'note'), tenancy.can_i('delete', 'note'), tenancy.can_i('read', 'member');
				END CASE;
			EXCEPTION WHEN OTHERS THEN
				BEGIN
					EXECUTE 'DEALLOCATE kept';
				EXCEPTION WHEN OTHERS THEN
				END;
			END;
			IF i % 50 = 0 THEN
				ROLLBACK;
			ELSIF i % 10 = 0 THEN
				COMMIT;
			END IF;
		END LOOP;
		ROLLBACK;
	END $$;
	GRANT EXECUTE ON PROCEDURE churn TO regress_tenancy_app;
});

# What a connection has allocated in contexts of these names, in KiB.
sub allocated
{
	my ($session, $names) = @_;
	return ask($session, "SELECT (sum(total_bytes) / 1024)::int FROM pg_backend_memory_contexts WHERE name ~ '$names'");
}

sub resident
{
	my ($session) = @_;
	my ($resident) = slurp_file('/proc/' . ask($session, 'SELECT pg_backend_pid()') . '/status') =~ /^RssAnon:\s+(\d+)/m;
	return $resident;
}

# Meanwhile another connection changes people, grants and keys.
my $script = $node->basedir . '/signals.sql';
append_to_file($script, q{
\set n random(1, 20)
UPDATE tenancy.users SET name = name WHERE false;
UPDATE tenancy.role_permissions SET action = action WHERE :n = 1 AND false;
UPDATE tenancy.signing_keys SET added_at = now() WHERE :n = 2 AND key_id = 'clerk-1';
});
my ($out, $err) = ('', '');
my $signals = IPC::Run::start([ 'pgbench', '-n', '-R', '100', '-T', '3600', '-h', $node->host, '-p', $node->port, '-f', $script, 'postgres' ], '>', \$out, '2>', \$err);

my $session = app_session($node);
$session->set_query_timer_restart;
ask($session, 'SET client_min_messages = error');
ask($session, "CALL churn($switches_a_call)") for 1 .. $warm_up;
my $lasting = 'tenancy|^TopMemoryContext$|^CacheMemoryContext$|^SPI Plan$|^CachedPlan|^TopPortalContext$';
my ($before, $resident) = (allocated($session, $lasting), resident($session));
my @errors = grep { $_ ne '' } map { ask($session, "CALL churn($switches_a_call)") } 1 .. $calls;
is("@errors", '', $calls * $switches_a_call . ' switches, and no error that is not caught');
cmp_ok(allocated($session, $lasting), '<=', $before + 256, "$before KiB are allocated, and no more after it");
cmp_ok(resident($session), '<=', $resident + 2048, "$resident KiB are resident, and no more after it");
$session->quit;
$signals->kill_kill;

# A superuser's, who makes the extension anew each time, and uses it.
$session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart;
ask($session, 'SET client_min_messages = error');
my $anew = q{RESET tenancy.session_token; DROP EXTENSION tenancy CASCADE; CREATE EXTENSION tenancy;
	DO $$ BEGIN PERFORM tenancy.trust_issuer('https://clerk.test', minting.jwks('clerk')), minting.enrol('user-1', 'org-1'); END $$;
	SET tenancy.session_token = '} . mint($node, '{"sub": "user-1"}') . q{'; SELECT status FROM tenancy.session() WHERE tenancy.can_i('read', 'org')};
is(ask($session, $anew), 'active', 'an extension that is made anew works') for 1 .. 5;
$before = allocated($session, 'tenancy');
ask($session, $anew) for 1 .. 20;
cmp_ok(allocated($session, 'tenancy'), '<=', $before, "made anew 20 times: $before KiB are tenancy's, and no more after it");
$session->quit;

$node->stop;
done_testing();
