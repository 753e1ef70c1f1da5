# Operations that are interrupted at a known point. Every row that one writes, and its commit, is a point: a trigger asks for an
# advisory lock there, which the test holds for the point that it wants. So nothing depends on time.
package FaultTest;

use strict;
use warnings;
use Exporter 'import';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

our @EXPORT = qw(start_faulty operations points attempt interrupt time_out kill_backend kill_postmaster is_absent is_whole);

my %token;

# start_faulty(NAME): a server with people and orgs, and the triggers.
sub start_faulty
{
	my ($name) = @_;
	my $node = start_node($name, "session_preload_libraries = tenancy\nrestart_after_crash = on\nlog_min_messages = warning\nlog_statement = none\n");
	my $invariants = slurp_file('test/data/invariants.sql');

	%token = map { $_ => mint($node, qq({"sub": "$_", "name": "$_", "email": "$_\@faults.test", "email_verified": true})) } qw(alice dora nora ivan anna);
	for ([ alice => 'acme' ], [ dora => 'doomed' ])
	{
		my ($who, $org) = @$_;
		as_app($node, qq(SET tenancy.session_token = '$token{$who}';
			SELECT tenancy.provision_user();
			SELECT tenancy.create_org('$org', '$org');
			SET tenancy.org = '$org';
			SELECT tenancy.create_role('clerk'), tenancy.invite('ivan\@faults.test', 'clerk'), tenancy.invite('anna\@faults.test')));
	}
	$node->safe_psql('postgres', "SET client_min_messages = warning; $invariants; " . q{
		-- Who signs up is invited to acme alone; anna accepts by hand.
		UPDATE tenancy.invitations SET revoked_at = now() WHERE org_id = (SELECT id FROM tenancy.organizations WHERE slug = 'doomed') AND email ~ 'ivan';
		CREATE TABLE customer (id int PRIMARY KEY);
		CREATE TABLE bill (customer_id int REFERENCES customer ON DELETE CASCADE);
		SELECT tenancy.protect('customer'), tenancy.protect('bill');
		INSERT INTO customer SELECT 1, id FROM tenancy.organizations WHERE slug = 'doomed';
		INSERT INTO bill SELECT 1, id FROM tenancy.organizations, generate_series(1, 3) WHERE slug = 'doomed';
		SELECT tenancy.archive_org('doomed');

		CREATE EXTENSION amcheck;
		CREATE SCHEMA faults;
		CREATE FUNCTION faults.at(point text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			RAISE NOTICE 'point %', point;
			PERFORM pg_advisory_xact_lock_shared(hashtext(point));
		END $$;
		CREATE FUNCTION faults.pause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			PERFORM faults.at(CASE WHEN TG_WHEN = 'AFTER' THEN 'commit' ELSE lower(TG_OP) || ' ' || TG_TABLE_NAME END);
			IF TG_OP = 'DELETE' THEN
				RETURN OLD;
			END IF;
			RETURN NEW;
		END $$;
		CREATE VIEW faults.tables AS SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace);
		SELECT format('CREATE TRIGGER pause BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION faults.pause()', name) FROM faults.tables \gexec
		CREATE CONSTRAINT TRIGGER pause_commit AFTER INSERT ON tenancy.audit_events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION faults.pause();

		-- All rows there are, and whether every index agrees with its table.
		CREATE FUNCTION faults.state() RETURNS SETOF text LANGUAGE plpgsql SET enable_indexscan = off SET enable_bitmapscan = off SET enable_indexonlyscan = off AS $$
		DECLARE
			t regclass;
		BEGIN
			PERFORM bt_index_check(i.indexrelid, true) FROM pg_index i JOIN faults.tables f ON f.name = i.indrelid;
			FOR t IN SELECT name FROM faults.tables ORDER BY name::text LOOP
				RETURN QUERY EXECUTE format('SELECT %L || to_jsonb(t)::text FROM %s t ORDER BY 1', t || ': ', t);
			END LOOP;
		END $$;
	});
	return $node;
}

# What is interrupted: who does it, the statement, and a question that is answered with yes once it is done.
sub operations
{
	my $is_in = "SELECT EXISTS (SELECT FROM tenancy.memberships m JOIN tenancy.identities i USING (user_id) JOIN tenancy.organizations o ON o.id = m.org_id WHERE (i.subject, o.slug, o.kind) = ('%s', '%s', '%s'))";

	return (
		{ name => 'sign-up', by => 'nora', sql => 'SELECT created FROM tenancy.provision_user()', done => sprintf $is_in, 'nora', 'nora', 'personal' },
		{ name => 'sign-up by invitation', by => 'ivan', sql => 'SELECT created FROM tenancy.provision_user()', done => sprintf $is_in, 'ivan', 'acme', 'team' },
		{ name => 'acceptance', by => 'anna', sql => "SELECT tenancy.accept_invitation(invitation_id::text) FROM tenancy.my_invitations()", done => sprintf $is_in, 'anna', 'acme', 'team' },
		{ name => 'purge', sql => "SELECT * FROM tenancy.purge_org('doomed')", done => "SELECT NOT EXISTS (SELECT FROM tenancy.organizations WHERE slug = 'doomed') AND NOT EXISTS (SELECT FROM bill) AND NOT EXISTS (SELECT FROM customer)" });
}

# A psql that runs an operation, with a statement before and one after it.
sub command
{
	my ($node, $operation, $before, $after) = @_;
	my $user = $operation->{by} ? 'regress_tenancy_app' : '';

	return [
		'psql', '-X', '-At', '-q', '-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . ($user ? " user=$user" : ''),
		map { ('-c', $_) } grep { defined } ($operation->{by} ? "SET tenancy.session_token = '$token{$operation->{by}}'" : undef), $before, $operation->{sql}, $after ];
}

# points(NODE, OPERATION): where it can be interrupted, in their order.
sub points
{
	my ($node, $operation) = @_;
	my ($out, $err);
	my %seen;

	IPC::Run::run(command($node, $operation, 'BEGIN', 'SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK'), '>', \$out, '2>', \$err) or die "$operation->{name}: $err\n";
	return grep { !$seen{$_}++ } $err =~ /NOTICE:  \d+: point (.*)/g;
}

# attempt(NODE, OPERATION): the errors that the client gets.
sub attempt
{
	my ($node, $operation) = @_;
	my ($out, $err);

	IPC::Run::run(command($node, $operation), '>', \$out, '2>', \$err);
	return $err;
}

# interrupt(NODE, OPERATION, POINT, FAULT, BEFORE): runs it up to the point, calls FAULT with the backend's process id, and returns
# the errors that the client gets. BEFORE is a statement that its connection begins with.
sub interrupt
{
	my ($node, $operation, $point, $fault, $before) = @_;
	my ($out, $err) = ('', '');
	my $holder = $node->background_psql('postgres');
	my $blocked = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'";

	$holder->query_safe("SELECT pg_advisory_lock(hashtext('$point'))");
	my $client = IPC::Run::start(command($node, $operation, $before), '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	if ($fault)
	{
		$node->poll_query_until('postgres', "SELECT count(*) = 1 $blocked") or die "$operation->{name} does not come to $point\n";
		$fault->($node, $node->safe_psql('postgres', "SELECT pid $blocked"));
	}
	IPC::Run::finish($client);
	eval { $holder->quit };
	return $err;
}

# time_out(NODE, OPERATION, POINT): statement_timeout ends it at the point. How long it takes to come there is not known.
sub time_out
{
	my ($node, $operation, $point) = @_;
	my $err;

	for (my $ms = 100; $ms < 60_000; $ms *= 2)
	{
		$err = interrupt($node, $operation, $point, undef, "SET statement_timeout = $ms");
		last if $err =~ /point \Q$point\E\n/;
	}
	return $err;
}

# The whole server restarts then, as PostgreSQL does when one of its processes dies.
sub kill_backend
{
	my ($node, $pid) = @_;
	my $started = "SELECT pg_postmaster_start_time() IS NOT NULL";

	kill 9, $pid;
	$node->wait_for_log(qr/\(PID $pid\) was terminated by signal 9/);
	$node->poll_query_until('postgres', $started) or die "the server does not come back\n";
}

sub kill_postmaster
{
	my ($node) = @_;

	# Its other processes end when they see that it is gone; until then nobody can take its place.
	my @left = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	$node->kill9;
	1 while grep { kill 0, $_ } @left;
	$node->start;
}

# What an interrupted operation leaves: nothing.
sub is_absent
{
	my ($node, $before, $name) = @_;
	is($node->safe_psql('postgres', 'SELECT faults.state()'), $before, $name);
}

# Without a fault it is done, and all of it.
sub is_whole
{
	my ($node, $operation) = @_;
	my ($out, $err);

	ok(IPC::Run::run(command($node, $operation), '>', \$out, '2>', \$err), "$operation->{name}: without a fault") or diag $err;
	is($node->safe_psql('postgres', $operation->{done}), 't', "$operation->{name}: it is done");
	is($node->safe_psql('postgres', 'SELECT * FROM invariants.broken'), '', "$operation->{name}: and all of it");
	$node->safe_psql('postgres', 'SELECT count(*) FROM faults.state()');
}

1;
