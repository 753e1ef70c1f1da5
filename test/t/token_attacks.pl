# Every token of the catalogue (test/data/token_catalogue.sql), as an application would set it: what it opens, and what of it gets into the
# server's log. A good one opens its own org; every other one is refused with its SQLSTATE, shows no row, and does not leave the
# token that was set before it in force.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $node = start_node('token_attacks', "session_preload_libraries = 'tenancy'\nlog_min_messages = warning\n");
$node->run_log([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', 'test/data/token_catalogue.sql' ])
  or die "test/data/token_catalogue.sql failed\n";
# Whoever the attacks pretend to be is a member of globex, and alice, who was signed in before, of acme.
$node->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme');
	SELECT minting.enrol('marker-subject', 'globex', issuer => issuer) FROM tenancy.issuers WHERE issuer LIKE 'https://tokens%';
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT o.slug, o.id FROM tenancy.organizations o;
	GRANT SELECT ON note TO regress_tenancy_app;
});
my $alice = mint($node, '{"sub": "alice"}');

my %cases;
for (split /\n/, $node->safe_psql('postgres', q{SELECT id, expected, description, encode(convert_to(token, 'UTF8'), 'hex') FROM tokens_test.tries}))
{
	my ($id, $expected, $description, $token) = /^(\d+)\|([^|]*)\|(.*)\|([0-9a-f]*)\z/ or next;
	$cases{$id} = { expected => $expected, description => $description, token => pack('H*', $token) };
}
my %distinct = map { $_->{token} => 1 } values %cases;
cmp_ok(scalar keys %distinct, '>=', 1700, 'so many tokens are tried');

# Only what looks like a signed token can be told from other text in a log.
my $jws = qr/\Ae[yw][\w-]{10,}\.[\w.-]+\z/;

# attempt(IDS): what the application is shown of each.
sub attempt
{
	my $file = $node->basedir . '/attempt.sql';
	my %shown;

	open my $script, '>', $file or die "$file: $!\n";
	for my $id (@_)
	{
		my $token = $cases{$id}{token} =~ s/'/''/gr;
		print $script <<"EOF_SCRIPT";
\\echo case $id
SET tenancy.session_token = '$alice';
SELECT 'before', string_agg(body, ' ') FROM note;
SET tenancy.session_token = '$token';
SELECT 'session', status, user_id IS NULL FROM tenancy.session();
SELECT 'rows', string_agg(body, ' ') FROM note;
\\echo set :SQLSTATE
SET tenancy.session_token = '$alice';
BEGIN;
SELECT 'begun', status FROM tenancy.begin_session('$token');
SELECT 'rows', string_agg(body, ' ') FROM note;
\\echo begun :SQLSTATE
ROLLBACK;
SELECT 'after', string_agg(body, ' ') FROM note;
EOF_SCRIPT
	}
	close $script;
	my ($out) = run_command([ 'psql', '-X', '-q', '-A', '-t', '-d', app_conninfo($node), '-f', $file ]);
	for (split /^case /m, $out)
	{
		my ($id, $text) = /^(\d+)\n(.*)/s or next;
		$shown{$id} = $text =~ s/\n\z//r;
	}
	return \%shown;
}

# expected(CASE): what they are to be shown. Some good tokens are of somebody who is nobody here.
sub expected
{
	my ($case) = @_;
	my $code = $case->{expected};
	my ($status, $nobody, $rows) = ($code eq '28T04' ? '(?:expired|invalid)' : 'invalid', 't', '');

	if ($code eq 'ok')
	{
		$code = '00000';
		($status, $nobody, $rows) = $case->{description} =~ /^sub / ? ('unprovisioned', 't', 'rows\|\n') : ('active', 'f', 'rows\|globex\n');
	}
	return qr/\Abefore\|acme\nsession\|$status\|$nobody\n${rows}set $code\nbegun\|$status\n${rows}begun $code\nafter\|acme\z/;
}

sub check
{
	my ($name, @ids) = @_;
	my $shown = attempt(@ids);
	my @wrong = grep { $shown->{$_} !~ expected($cases{$_}) } @ids;

	is(join("\n", map { "$cases{$_}{description}, expected $cases{$_}{expected}: $shown->{$_}" } @wrong), '', $name);
}

# traces(LOG, IDS): the cases of which 16 characters in a row are there.
sub traces
{
	my ($log, @ids) = @_;
	my %windows;

	for my $word ($log =~ /[\w-]{16,}/g)
	{
		$windows{ substr $word, $_, 16 } = 1 for 0 .. length($word) - 16;
	}
	return grep {
		my @parts = grep { length $_ >= 16 } split /[^\w-]+/, $cases{$_}{token};
		grep { $windows{ substr $_, 0, 16 } || $windows{ substr $_, -16 } || $windows{ substr $_, length($_) / 2 - 8, 16 } } @parts;
	} @ids;
}
my @ids = sort { $a <=> $b } keys %cases;
my @like_tokens = grep { $cases{$_}{token} =~ $jws } @ids;
my @others = grep { $cases{$_}{token} !~ $jws } @ids;
is(join(', ', map { $cases{$_}{description} } grep { $cases{$_}{expected} eq 'ok' } @others), '', 'every good token looks like one');

# ---- with everything logged ----
$node->append_conf('postgresql.conf', "log_statement = all\nlog_min_error_statement = debug5\n");
$node->reload;
my $from = -s $node->logfile;
check('what looks like a token', @like_tokens);
my $log = substr slurp_file($node->logfile), $from;
cmp_ok(scalar(() = $log =~ /tenancy\.begin_session\('/g), '>=', scalar @like_tokens, 'the log has the statements');
is(join(', ', map { $cases{$_}{description} } traces($log, @like_tokens)), '', 'but no part of a token');
cmp_ok(scalar traces("$log\n$cases{$like_tokens[5]}{token}", @like_tokens), '>', 0, 'where one would be found');

# ---- with PostgreSQL's own settings ----
$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_error_statement = error\n");
$node->reload;
$from = -s $node->logfile;
check('what does not look like one', @others);
$log = substr slurp_file($node->logfile), $from;
like($log, qr/session token is malformed/, 'the log has the errors');
is(join(', ', map { $cases{$_}{description} } traces($log, @others)), '', 'and no part of what was set');

$node->stop;
done_testing();
