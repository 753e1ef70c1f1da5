# A server that runs out of disk or memory gives errors: nothing is half done, no process crashes, and what failed then works once there
# is room again. And a signing key that is damaged in its table disables its issuer, and nothing else.
use strict;
use warnings;
use lib 'test/t';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use FaultTest;
use TenancyTest;

my $node = start_faulty('shortages');
my %token = map { $_ => mint($node, qq({"sub": "$_", "email": "$_\@faults.test", "email_verified": true})) } qw(alice dora newcomer);
my $state = "SELECT status, roles, tenancy.can_i('read', 'member') FROM tenancy.session()";

# limit(PID, RESOURCE, BYTES): what a process may use; its children too, if they are made later.
sub limit
{
	my ($pid, $resource, $bytes) = @_;
	IPC::Run::run([ 'prlimit', '--pid', $pid, "--$resource=$bytes:" ]) or die "prlimit failed\n";
}

# ---- no room on disk ----

# No file may grow beyond a limit that the write-ahead log's keep to, and the audit log is as long as that.
my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
my $disk = 17 << 20;
$node->safe_psql('postgres', 'ALTER TABLE tenancy.audit_events SET (autovacuum_enabled = off)');
limit($postmaster, 'fsize', $disk);
my $fill = q{BEGIN; ALTER TABLE tenancy.audit_events DISABLE TRIGGER ALL;
	INSERT INTO tenancy.audit_events (database_role, action, target) SELECT 'x', 'x', repeat('x', 500) FROM generate_series(1, 100000)};
my $full = qr/ERROR:  \w{5}: could not (?:extend|write to) file/;
like(($node->psql('postgres', "\\set VERBOSITY verbose\n$fill"))[2], $full, 'the disk is full');
for my $operation (operations())
{
	my $before = $node->safe_psql('postgres', 'SELECT faults.state()');

	like(attempt($node, $operation), $full, "$operation->{name}: an error");
	is_absent($node, $before, "$operation->{name}: nothing has happened");
}
like((as_app($node, "SET tenancy.session_token = '$token{alice}'; SET tenancy.org = 'acme'; $state"))[0], qr/^active\|\{admin\}\|t$/, 'who is known reads as ever');
limit($postmaster, 'fsize', 'unlimited');
$node->safe_psql('postgres', 'VACUUM FULL tenancy.audit_events');
is_whole($node, $_) for operations();

# ---- no memory ----

# A connection that has next to none more than at its start: a little more each time, so that it runs out elsewhere.
sub size { return (split / /, slurp_file("/proc/$_[0]/statm"))[0] * 4096 }
my %came;
my $wrong = '';
for my $step (0 .. 60)
{
	my $session = app_session($node);
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	my $statement = "SET tenancy.session_token = '$token{alice}'; SET tenancy.org = 'acme'; $state";

	limit($pid, 'as', size($pid) + ($step << 15));
	my $got = ask($session, $statement);
	$came{ $got =~ /^active/ ? 'answers' : 'errors' }++;
	$wrong .= "with $step: $got\n" unless $got =~ /^active\|\{admin\}\|t$/ || $got =~ /^(ERROR:  53200\n?)+$/;
	limit($pid, 'as', 'unlimited');
	$got = ask($session, $state);
	$got = ask($session, $statement) if $got =~ /^anonymous/;
	$wrong .= "after $step: $got\n" unless $got =~ /^active\|\{admin\}\|t$/;
	$session->quit;
}
is($wrong, '', 'without memory there are errors that say so, or right answers; with it again, right answers');
cmp_ok($came{$_} // 0, '>', 0, "there were $_") for qw(answers errors);

my $made = 0;
for my $step (0 .. 80)
{
	my $session = app_session($node);
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	my $before = $node->safe_psql('postgres', 'SELECT faults.state()');

	ask($session, "SET tenancy.session_token = '$token{newcomer}'; SET client_min_messages = warning");
	limit($pid, 'as', size($pid) + ($step << 17));
	my $got = ask($session, 'SELECT created FROM tenancy.provision_user()');
	limit($pid, 'as', 'unlimited');
	$session->quit;
	$made = $got eq 't';
	last if $made;
	# A library that is not loaded and a regular expression that is not compiled have codes of their own. It is no verdict on the token.
	$wrong .= "sign-up with $step: $got\n" if $got !~ /^ERROR:  (?:53200|58P01|2201B)$/ || $node->safe_psql('postgres', 'SELECT faults.state()') ne $before;
}
is($wrong, '', 'a sign-up without memory is an error, and nothing has happened');
ok($made, 'with enough of it, it is one');
is($node->safe_psql('postgres', 'SELECT * FROM invariants.broken'), '', 'and whole');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');

# ---- a damaged key ----

my $session = app_session($node);
my $better_auth = $node->safe_psql('postgres', q{SELECT minting.token('better_auth', '{"sub": "beth", "aud": "https://app.test"}')}, extra_params => ['-q']);
my $clerk = "SET tenancy.session_token = '$token{alice}'; SET tenancy.org = 'acme'; $state";
my $other = "SET tenancy.session_token = '$better_auth'; SELECT status FROM tenancy.session()";
is(ask($session, "$clerk; $other"), "active|{admin}|t\nunprovisioned", 'two issuers');

$node->safe_psql('postgres', q{CREATE TABLE minting.kept AS SELECT id, jwk FROM tenancy.signing_keys WHERE key_id = 'clerk-1';
	UPDATE tenancy.signing_keys SET jwk = jwk || '{"n": "AQAB"}' WHERE key_id = 'clerk-1'});
is(ask($session, "SET tenancy.session_token = '$token{alice}'; SELECT status, next_step FROM tenancy.session(); SELECT tenancy.can_i('read', 'member')"),
	"invalid|sign_in\nERROR:  28T06", 'a key that is damaged verifies nothing, in an open connection too');
is(ask($session, $other), 'unprovisioned', 'the other issuer is as it was');
like((as_app($node, "SET tenancy.session_token = '$token{alice}'; SELECT tenancy.can_i('read', 'member')"))[1],
	qr/DETAIL:  The issuer has a signing key that cannot be used, and no other that the token can mean: tenancy\.doctor\(\) tells which\./, 'the error says so');
is($node->safe_psql('postgres', q{SELECT severity, check_id, object FROM tenancy.doctor() WHERE check_id = 'key_unusable'}), 'error|key_unusable|https://clerk.test', 'and doctor()');
$node->safe_psql('postgres', 'UPDATE tenancy.signing_keys k SET jwk = o.jwk FROM minting.kept o WHERE o.id = k.id');
is(ask($session, "$clerk; $other"), "active|{admin}|t\nunprovisioned", 'a key that is mended verifies again');
$session->quit;

$node->stop;
done_testing();
