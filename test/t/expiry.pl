# A token that expires while it is in use: the next statement of the same transaction is refused, whatever was cached,
# prepared or opened before.
use strict;
use warnings;
use lib 'test/t';

use Test::More;
use TenancyTest;
use Time::HiRes qw(sleep);

my $lifetime = 3;
my $patience = 60;

my $node = start_node('expiry', "tenancy.clock_skew = 0\n");
$node->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'beta', 'admin');
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT o.slug || n, o.id FROM tenancy.organizations o, generate_series(1, 1000) n;
	ALTER TABLE note SET (parallel_workers = 2);
	GRANT ALL ON note TO regress_tenancy_app;
	CREATE FUNCTION wait_until(moment timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
	BEGIN
		WHILE clock_timestamp() < moment LOOP
			PERFORM pg_sleep(0.05);
		END LOOP;
		RETURN moment;
	END
	$$;
});
my $status = 'SELECT status, next_step FROM tenancy.session()';
my $count = "SELECT count(*), min(left(body, 4)), max(left(body, 4)) FROM note";

sub short_token { return mint($node, sprintf '{"sub": "alice", "exp": %d}', time + $lifetime) }

# Waits as a client would notice it: until the open transaction gets another answer.
sub wait_for_change
{
	my ($session, $question, $answer) = @_;
	my $now;

	for (my $end = time + $patience; time < $end; sleep 0.1)
	{
		$now = ask($session, $question);
		return $now if $now ne $answer;
	}
	return "still $now";
}

sub wait_for_expiry { return wait_for_change($_[0], $status, 'active|ok') }

sub exhausted
{
	my ($session, $name) = @_;

	# Savepoints, since an error ends a transaction.
	my $try = sub { ask($session, "SAVEPOINT try; $_[0]; ROLLBACK TO try") };
	is($try->($_), 'ERROR:  28T04', "$name: $_")
	  for $count, 'EXECUTE count', 'EXECUTE generic', "INSERT INTO note VALUES ('x')", "UPDATE note SET body = 'x'", 'DELETE FROM note',
	  'SELECT tenancy.current_user_id()', 'SELECT tenancy.current_org()', 'SELECT tenancy.claims()', 'SELECT * FROM tenancy.my_orgs()',
	  "SELECT tenancy.can_i('read', 'note')", "SELECT tenancy.switch_org('acme')", 'SELECT * FROM tenancy.provision_user()';
	is($try->('FETCH cursor'), 'ERROR:  28T04', "$name: a cursor that was open is closed to it");
}

for my $level ('READ COMMITTED', 'REPEATABLE READ')
{
	my $session = app_session($node);
	my $token = short_token();

	ask($session, "PREPARE count AS $count; SET plan_cache_mode = force_generic_plan; PREPARE generic AS $count");
	ask($session, "BEGIN ISOLATION LEVEL $level; SET LOCAL tenancy.session_token = '$token'");
	is(ask($session, $count), '1000|acme|acme', "$level: before it expires");
	is(ask($session, "EXECUTE count"), '1000|acme|acme', "$level: prepared");
	is(ask($session, "EXECUTE generic"), '1000|acme|acme', "$level: prepared, generic");
	like(ask($session, "DECLARE cursor CURSOR FOR SELECT body FROM note; FETCH cursor"), qr/^acme\d+$/, "$level: a cursor");

	is(wait_for_expiry($session), 'expired|sign_in', "$level: session() says so in the transaction");
	exhausted($session, $level);
	is(ask($session, "SELECT expires_at <= now() + interval '1 minute', subject, user_id IS NULL, org_id IS NULL, roles IS NULL FROM tenancy.session()"),
		't|alice|t|t|t', "$level: what session() still tells");

	ask($session, "SET LOCAL tenancy.session_token = '" . mint($node, '{"sub": "alice"}') . "'");
	is(ask($session, $count), '1000|acme|acme', "$level: a fresh token in the same transaction");
	is(ask($session, 'ROLLBACK'), '', "$level: the transaction can end");
	is(ask($session, $status), 'anonymous|sign_in', "$level: no token before, none after");
	$session->quit;
}

# Set for the session, remembered as good, used again from a cache when it is past its time.
my $session = app_session($node);
my $token = short_token();
ask($session, "SET tenancy.session_token = '$token'");
is(ask($session, $count), '1000|acme|acme', 'set for the session');
is(wait_for_expiry($session), 'expired|sign_in', 'it expires between statements');
is(ask($session, $count), 'ERROR:  28T04', 'and reads nothing');
ask($session, "SET tenancy.session_token = '$token'");
is(ask($session, $count), 'ERROR:  28T04', 'set again, it is as expired');
is(ask($session, "SELECT status FROM tenancy.begin_session('$token')"), 'expired', 'nor does begin_session() revive it');

# In parallel workers. None of the rows is counted by a leader.
$token = short_token();
ask($session, "SET tenancy.session_token = '$token'; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
	  . " SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off; SET enable_indexscan = off; SET enable_bitmapscan = off");
like(ask($session, "EXPLAIN (COSTS OFF) $count"), qr/Workers Planned/, 'a parallel plan');
is(ask($session, $count), '1000|acme|acme', 'workers before it expires');
is(wait_for_expiry($session), 'expired|sign_in', 'it expires');
is(ask($session, $count), 'ERROR:  28T04', 'workers after');

# A statement is of the moment it began: it is not torn in the middle.
$token = short_token();
ask($session, "SET tenancy.session_token = '$token'");
is(ask($session, "WITH late AS MATERIALIZED (SELECT wait_until(expires_at + interval '1 second') AS moment FROM tenancy.session())"
		  . " SELECT count(*), clock_timestamp() > min(moment) - interval '1 second' FROM late, note WHERE moment IS NOT NULL"),
	'1000|t', 'a statement that began before the expiry ends as it began');
is(ask($session, $count), 'ERROR:  28T04', 'the next one is refused');

# An impersonation expires under a token that does not.
$node->safe_psql('postgres', q{
	SELECT minting.enrol('root', 'acme', 'admin');
	INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
});
my $bob = $node->safe_psql('postgres', "SELECT minting.user_id('bob')");
ask($session, "SET tenancy.session_token = '" . mint($node, '{"sub": "root"}') . "'");
is(ask($session, $count), '1000|acme|acme', 'as oneself');
ask($session, "SELECT tenancy.act_as('$bob', 'a look', read_only => false)");
$node->safe_psql('postgres', "UPDATE tenancy.impersonations SET expires_at = clock_timestamp() + interval '$lifetime s'");
ask($session, "DEALLOCATE ALL; PREPARE count AS $count; BEGIN");
is(ask($session, 'EXECUTE count'), '1000|beta|beta', 'as another');
is(wait_for_expiry($session), 'disabled|show_error', 'it expires');
is(ask($session, 'EXECUTE count'), '0||', 'and reads nothing, of nobody');
is(ask($session, "INSERT INTO note VALUES ('x')"), 'ERROR:  42501', 'and writes nothing');
ask($session, 'ROLLBACK; SELECT tenancy.stop_acting()');
is(ask($session, $count), '1000|acme|acme', 'as oneself again, when asked to be');
$session->quit;

# A permission that needs a fresh authentication ends by the clock alone: the token is as good as before, and the snapshot the same.
$node->safe_psql('postgres', qq{
	SELECT tenancy.require_fresh_authentication('read', 'note', '$lifetime s');
	CREATE FUNCTION may_read() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN tenancy.can_i(''read'', ''note''); END';
});
$session = app_session($node);
ask($session, 'SET enable_indexscan = off; SET enable_bitmapscan = off');
ask($session, "SET tenancy.session_token = '" . mint($node, sprintf '{"sub": "alice", "auth_time": %d}', time) . "'");
ask($session, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($session, 'SELECT may_read()'), 't', 'authenticated lately');
like(ask($session, 'DECLARE cursor CURSOR FOR SELECT body FROM note; FETCH cursor'), qr/^acme\d+$/, 'and reads');
is(wait_for_change($session, "SELECT tenancy.can_i('read', 'note')", 't'), 'f', 'that is too long ago');
is(ask($session, 'SELECT may_read()'), 'f', 'what a function was answered in an earlier statement does not hold');
is(ask($session, 'FETCH cursor'), '', 'a cursor that was open returns no more rows');
$session->quit;

done_testing();
