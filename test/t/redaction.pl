# No part of a token, nor of an invitation's secret, gets into the server's log, in any of its formats and with everything logged that can be, nor into
# pg_stat_activity: in a session that has loaded the library, by session_preload_libraries or by its first use of it.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $node = start_node('redaction', "log_min_messages = warning\n");
$node->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme', 'admin');
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT o.slug, o.id FROM tenancy.organizations o, generate_series(1, 1000);
	ALTER TABLE note SET (parallel_workers = 2);
	GRANT ALL ON note TO regress_tenancy_app;
	CREATE FUNCTION execute(statement text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; END';
});
# An e-mail makes the payload one that must not be read, either.
my $token = mint($node, '{"sub": "alice", "email": "alice@secret.test"}');
# An invitation that anybody may accept; and one that is made up, which is in as many places.
my $secret = $node->safe_psql('postgres', "SET tenancy.org = 'acme'; SELECT invite_token FROM tenancy.invite('link\@secret.test', 'viewer', any_email => true)");
my $made_up = 'inv_' . join '', map { sprintf '%08x', $_ * 2654435761 % 2**32 } 1 .. 8;
my @parts = ((split /\./, $token), map { substr $_, 4 } $secret, $made_up);

# Whatever of 12 characters in a row is from the token.
sub traces
{
	my ($text) = @_;
	my %found;
	for my $part (@parts)
	{
		for (my $i = 0; $i + 12 <= length $part; $i++)
		{
			my $piece = substr $part, $i, 12;
			$found{$piece} = 1 if index($text, $piece) >= 0;
		}
	}
	# The first will do for a message.
	return join ' ', (sort keys %found)[ 0 .. (keys %found > 3 ? 2 : keys(%found) - 1) ];
}
isnt(traces("x $token"), '', 'a trace would be found');
isnt(traces('x ' . substr $parts[1], 5, 12), '', 'a piece would be, too');
isnt(traces($secret), '', 'and a secret');

# ---- the log ----

# Each statement has a mark, by which the log is known to have it.
my %cases = (
	set => "SET /* MARK */ tenancy.session_token = '$token'",
	set_local => "BEGIN; SET LOCAL /* MARK */ tenancy.session_token = '$token'; SELECT count(*) FROM note; ROLLBACK",
	begin_session => "SELECT /* MARK */ status FROM tenancy.begin_session('$token')",
	set_config => "SELECT /* MARK */ set_config('tenancy.session_token', '$token', false)",
	escaped => "SELECT /* MARK */ set_config('tenancy.session_token', E'$token', false)",
	dollars => "SELECT /* MARK */ set_config('tenancy.session_token', \$x\$$token\$x\$, false)",
	bearer => "SELECT /* MARK */ set_config('tenancy.session_token', substr('Bearer $token', 8), false)",
	twice => "SELECT /* MARK */ '$token', '$token'",
	cut => "SELECT /* MARK */ '" . substr($token, 0, length($token) - 40) . "'",
	bad_signature => "SELECT /* MARK */ status FROM tenancy.begin_session('$token" . "A'); SELECT 1 / 0 /* '$token' */",
	prepared => "PREPARE begin(text) AS SELECT /* MARK */ status FROM tenancy.begin_session(\$1); EXECUTE begin('$token')",
	failing => "SELECT /* MARK */ status, 1 / 0 FROM tenancy.begin_session('$token')",
	syntax_error => "SELECT /* MARK */ '$token' FROM FROM",
	error_message => "SELECT /* MARK */ '$token'::int",
	function => "SELECT /* MARK */ execute(\$\$SET tenancy.session_token = '$token'\$\$)",
	context => "SELECT /* MARK */ execute(\$\$SELECT '$token'::uuid\$\$)",
	internal_query => "SELECT /* MARK */ execute(\$\$SELECT '$token' FROM FROM\$\$)",
	raised => "DO /* MARK */ \$\$BEGIN RAISE WARNING 'got %', '$token' USING DETAIL = '$token', HINT = '$token'; END\$\$",
	aborted => "BEGIN; SELECT 1 / 0; SET LOCAL /* MARK */ tenancy.session_token = '$token'; ROLLBACK",
	together => "SET /* MARK */ tenancy.session_token = '$token' \\; SELECT count(*) FROM note \\; RESET tenancy.session_token",
	stored => "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET tenancy.session_token = '$token' AS 'SELECT 1 /* MARK */'",
	role => "ALTER ROLE /* MARK */ regress_tenancy_app SET tenancy.session_token = '$token'",
	accept => "SELECT /* MARK */ tenancy.accept_invitation('$made_up')",
	accept_signed_in => "SET tenancy.session_token = '$token'; SELECT /* MARK */ tenancy.accept_invitation('$made_up')",
	accept_prepared => "PREPARE accept(text) AS SELECT /* MARK */ tenancy.accept_invitation(\$1); EXECUTE accept('$made_up')",
	accept_misspelt => "SELECT /* MARK */ tenancy.accept_invite('$made_up')",
	accept_twice => "SELECT /* MARK */ '$made_up $made_up'::uuid",
	long => "SELECT /* MARK */ status FROM tenancy.begin_session('$token" . ('A' x 17000) . "')",
);

sub log_text
{
	return join '', map { slurp_file($_) } glob $node->data_dir . '/captured/*';
}

# log_everything(NAME, CONFIGURATION, PREAMBLE): runs all cases, and looks at what was logged.
sub log_everything
{
	my ($name, $conf, $preamble) = @_;

	$node->append_conf('postgresql.conf', <<"EOF");
logging_collector = on
log_directory = 'captured'
log_destination = 'stderr,csvlog,jsonlog'
log_min_messages = debug1
log_min_error_statement = debug5
log_error_verbosity = verbose
log_statement = all
log_duration = on
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
debug_print_parse = on
debug_print_rewritten = on
$conf
EOF
	$node->restart;
	for my $case (sort keys %cases)
	{
		as_app($node, $preamble . $cases{$case} =~ s/MARK/${name}_$case/r);
	}

	# Parameters, which need the extended protocol: pgbench speaks it.
	my $script = $node->basedir . '/begin.sql';
	for my $length (-1, 20, 60)
	{
		for my $sql ("SELECT status FROM tenancy.begin_session(:token)", "SELECT status, 1 / 0 FROM tenancy.begin_session(:token)",
			"SELECT /* first */ (:token)::int")
		{
			append_to_file($script, "SELECT status FROM tenancy.session();\n$sql;\n");
			local $ENV{PGOPTIONS} = "-c tenancy.org=${name}_parameter_$length";
			$node->safe_psql('postgres', "ALTER ROLE regress_tenancy_app SET log_parameter_max_length = $length;"
				  . " ALTER ROLE regress_tenancy_app SET log_parameter_max_length_on_error = $length");
			run_log([ 'pgbench', '-n', '-t', '1', '-M', $_, '-D', "token=$token", '-f', $script, '-U', 'regress_tenancy_app', $node->connstr('postgres') ])
			  for 'extended', 'prepared';
			unlink $script;
		}
	}

	$node->safe_psql('postgres', "SELECT 'all of $name is logged'");
	my ($log, $end) = ('', time + 60);
	while (time < $end)
	{
		$log = log_text();
		last if (() = $log =~ /all of $name is logged/g) >= 3;
	}
	for my $case (sort keys %cases)
	{
		next if $case =~ /^(syntax_error|aborted)$/;
		like($log, qr/${name}_$case\b/, "$name: $case is logged");
	}
	like($log, qr/parameters: \$1 = '\[token hidden\]/, "$name: parameters are logged");
	is(traces($log), '', "$name: and nothing of the token");
}

log_everything('first_use', '', "SELECT status FROM tenancy.session();\n");
log_everything('preloaded', "session_preload_libraries = 'tenancy'\n", '');
log_everything('explained', "session_preload_libraries = 'tenancy, auto_explain'\nauto_explain.log_min_duration = 0\nauto_explain.log_nested_statements = on\n", '');

# ---- pg_stat_activity, without the log's help ----

$node->append_conf('postgresql.conf', <<'EOF');
session_preload_libraries = ''
log_min_messages = warning
log_min_error_statement = error
log_statement = none
log_duration = off
log_min_duration_statement = -1
debug_print_parse = off
debug_print_rewritten = off
EOF
$node->restart;

my $session = app_session($node);
my $pid = ask($session, 'SELECT pg_backend_pid() FROM tenancy.session()');
my $activity = "SELECT string_agg(query, '') FROM pg_stat_activity WHERE $pid IN (pid, leader_pid)";

for my $case (qw(set set_local begin_session set_config dollars together failing syntax_error error_message context aborted role accept accept_signed_in))
{
	ask($session, $cases{$case});
	is(traces($node->safe_psql('postgres', $activity)), '', "idle after $case");
}
is(ask($session, "SET tenancy.session_token = '$token'; SELECT tenancy.accept_invitation('$secret') IS NOT NULL AS accepted"), 't', 'an invitation is accepted');
is(traces($node->safe_psql('postgres', $activity)), '', 'idle after that');
like(ask($session, "SET tenancy.session_token = '$token'; SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"),
	qr/^SELECT query FROM/, 'other statements are shown as they are');

# While it runs: a lock stops it.
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(1)');
for my $running (
	"SELECT status, pg_advisory_xact_lock(1) FROM tenancy.begin_session('$token')",
	"SET tenancy.session_token = '$token' \\; SELECT pg_advisory_xact_lock(1)",
	"SELECT set_config('tenancy.session_token', '$token', false), pg_advisory_xact_lock(1)",
	"DO \$\$BEGIN SET LOCAL tenancy.session_token = '$token'; PERFORM pg_advisory_xact_lock(1); END\$\$")
{
	$session->{stdin} .= "$running;\n";
	$session->{run}->pump_nb;
	ok($node->poll_query_until('postgres', "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = $pid"), 'it waits');
	is(traces($node->safe_psql('postgres', $activity)), '', 'running ' . substr $running, 0, 20);
	$holder->query_safe('SELECT pg_advisory_unlock(1)');
	ask($session, 'SELECT 1');
	$holder->query_safe('SELECT pg_advisory_lock(1)');
}

# A worker shows the text of its leader's statement.
$node->safe_psql('postgres', 'CREATE FUNCTION wait() RETURNS boolean LANGUAGE sql PARALLEL SAFE AS $$SELECT pg_advisory_lock_shared(1) IS NOT NULL$$;'
	  . ' GRANT EXECUTE ON FUNCTION wait() TO regress_tenancy_app; ALTER FUNCTION pg_advisory_lock_shared(bigint) PARALLEL SAFE');
ask($session, 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexscan = off; SET enable_bitmapscan = off');
$session->{stdin} .= "SET tenancy.session_token = '$token' \\; SELECT count(*) FROM note WHERE wait();\n";
$session->{run}->pump_nb;
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE leader_pid = $pid AND wait_event = 'advisory'"), 'workers wait');
is(traces($node->safe_psql('postgres', $activity)), '', 'running in workers');
$holder->query_safe('SELECT pg_advisory_unlock_all()');
ask($session, 'SELECT 1');

$session->quit;
$holder->quit;

# ---- the cost ----

# What looks like the beginning of a token on every line is looked at once a line: nothing could interrupt that.
{
	my $timed_out;
	my $long = "/* " . "ey\n" x 300_000 . " */ SELECT 'a message', 1 / 0";

	$node->psql('postgres', $long, timeout => $PostgreSQL::Test::Utils::timeout_default, timed_out => \$timed_out, stderr => \my $err);
	ok(!$timed_out, 'a long statement of beginnings is done with');
	like($err, qr/division by zero/, 'and has its error');
}

# ---- pg_stat_statements ----

# It keeps the text of a utility statement as it is. Loaded before or after it, tenancy keeps one with a token out.
for my $libraries ('pg_stat_statements, tenancy', 'tenancy, pg_stat_statements')
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'\n");
	$node->restart;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()');
	as_app($node, "SET tenancy.session_token = '$token';\nSET tenancy.org = 'acme';\nSELECT count(*) FROM note;\n"
		  . "DO \$\$BEGIN PERFORM tenancy.begin_session('$token'); END\$\$;\nSELECT status FROM tenancy.begin_session('$token')");
	my $kept = $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements');
	like($kept, qr/SET tenancy.org/, "$libraries: statements are kept");
	is(traces($kept), '', "$libraries: but none with a token");
}
done_testing();
