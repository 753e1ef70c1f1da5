# What a work of the benchmark needs: the cluster, tokens, data, and one measured figure.
#
# Invariants:
#   * Only the policy differs between variants: same rows, same indexes, same library loaded, same statements but for
#     the org that the floor has to name.
#   * A figure is seconds for one statement, from pgbench's log of single transactions; what comes before a steady
#     state (sign-in, first verification, plans made for parameters) is left out for everybody.
#   * Variants are compared within a round, one after another, in an order that rotates.
package Bench;

use strict;
use warnings;

use JSON::PP;
use List::Util qw(max min sum);
use Time::HiRes qw(time);

my %SIZES = (
	full => {slots => 1000, articles => 100, tasks => 1000, rounds => 10, peer_rounds => 10, seconds => 0.12, slow => 0.05, patience => 3,
		peers => qr/./, tokens => 500},
	quick => {slots => 20, articles => 20, tasks => 50, rounds => 2, peer_rounds => 2, seconds => 0.02, slow => 0.01, patience => 1,
		peers => qr/^(setting|supabase_claim|basejump|can_i_sql)$/, tokens => 100});

# A statement this slow has nothing to gain from pipelining; a peer's that takes as long as "slow" is run but once, and
# one that takes longer than "patience" is not waited for.
my $UNHURRIED = 0.001;
# The server makes plans for the parameters five times before it settles on one for all.
my $UNSETTLED = 8;

sub new
{
	my ($class, %self) = @_;
	my $self = bless {%self, %{$SIZES{$self{size}}}, loaded => {}, scripts => 0}, $class;
	return $self;
}

sub say_progress
{
	my ($self, $text) = @_;
	printf "%6.1f s  %s\n", time - $^T, $text;
	return;
}

# ---- the cluster ----

# The standard output of a program that must succeed. What it says beside that is of interest only if it does not.
sub run_program
{
	my ($self, @command) = @_;
	my $errors = "$self->{work}/tmp/errors";
	open my $stderr, '>&', \*STDERR or die "$!\n";
	open STDERR, '>', $errors or die "$errors: $!\n";
	my $started = open my $out, '-|', @command;
	open STDERR, '>&', $stderr or die "$!\n";
	die "cannot run $command[0]\n" unless $started;
	my $text = do { local $/; <$out> };
	close $out or die "failed: @command\n", $self->read($errors);
	return $text;
}

sub read
{
	my ($self, $file) = @_;
	open my $in, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$in>;
}

sub write
{
	my ($self, $file, $text) = @_;
	open my $out, '>', $file or die "$file: $!\n";
	print $out $text;
	close $out or die "$file: $!\n";
	return $file;
}

# Rows as lines, columns joined by |. Options: user, database, vars, and options for the server as psql's PGOPTIONS.
sub sql
{
	my ($self, $text, %option) = @_;
	my @vars = map { ('-v', "$_=$option{vars}{$_}") } keys %{$option{vars} // {}};
	my $file = $self->write("$self->{work}/tmp/psql.sql", $text);
	local $ENV{PGOPTIONS} = join ' ', '-c client_min_messages=warning', $option{options} // ();
	my $out = $self->run_program('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', @vars,
		'-U', $option{user} // 'postgres', '-d', $option{database} // $ENV{PGDATABASE}, '-f', $file);
	$out =~ s/\n+\z//;
	return $out;
}

# A token of the issuer that data/base.sql trusts, good for a day.
sub token
{
	my ($self, $subject, %claims) = @_;
	return ($self->tokens('ES256', {sub => $subject, %claims}))[0];
}

# Tokens with these claims, in their order, by the key of that algorithm; see new_key().
sub tokens
{
	my ($self, $algorithm, @claims) = @_;
	my $json = JSON::PP->new->canonical;
	my %usual = (iss => 'https://bench.test', iat => int time, exp => int(time) + 86400);
	my $file = $self->write("$self->{work}/tmp/claims", join '', map { $json->encode({%usual, %$_}) . "\n" } @claims);
	return split /\n/, $self->run_program($ENV{MINT}, 'tokens', $self->{keys}{$algorithm}, $file, '--header', qq({"alg":"$algorithm","kid":"bench"}));
}

# Makes a key for tokens; returns the set of keys that an issuer publishes.
sub new_key
{
	my ($self, $algorithm) = @_;
	my $file = $self->{keys}{$algorithm} = "$self->{work}/$algorithm.key";
	$self->write($file, $self->run_program($ENV{MINT}, 'key', $algorithm)) unless -e $file;
	return $self->run_program($ENV{MINT}, 'jwks', "$file,bench");
}

# The ids that data/base.sql gives to the numbered orgs and people.
sub org { return $_[0]->{org}{$_[1]} //= $_[0]->sql("SELECT bench.org($_[1])") }
sub person { return $_[0]->{person}{$_[1]} //= $_[0]->sql("SELECT bench.person($_[1])") }

# ---- data ----

sub load_base
{
	my ($self) = @_;
	$self->say_progress('orgs, people and peers');
	my $jwks = $self->new_key('ES256');
	$self->sql("\\i data/base.sql\n" . join('', map { "\\i $_\n" } sort glob 'peers/*.sql'), vars => {jwks => $jwks});
	return;
}

# The tables of data/NAME.sql, once in each schema, and in memory.
sub load
{
	my ($self, $name) = @_;
	return if $self->{loaded}{$name}++;
	my %vars = map { $_ => $self->{$_} } qw(slots articles tasks);
	for my $schema (qw(floor ours peer))
	{
		$self->say_progress("data: $name, copy $schema");
		# In one transaction, the rows of a new table need no WAL.
		$self->sql("BEGIN;\nSET LOCAL search_path = $schema, public;\n\\i data/$name.sql\nSELECT bench.finish('$schema') \\g /dev/null\nCOMMIT;\n",
			vars => \%vars);
	}
	$self->sql("VACUUM ANALYZE;\n"
		  . "SELECT pg_prewarm(c.oid) FROM pg_class c WHERE c.relnamespace IN ('floor'::regnamespace, 'ours'::regnamespace, 'peer'::regnamespace)"
		  . " AND c.relkind IN ('r', 'i') \\g /dev/null\nCHECKPOINT;\n");
	return;
}

# ---- variants ----

# All designs, each signed in to org number $org: the floor, tenancy and, unless told otherwise, the peers.
sub variants
{
	my ($self, $org, %option) = @_;
	my ($org_id, $person_id) = ($self->org($org), $self->person($org));
	my @variants = (
		{name => 'floor', title => 'floor: no RLS, org_id = $1', user => 'bench_floor', sign_in => 'SELECT 1', names_org => 1},
		{name => 'tenancy', title => 'tenancy', user => 'bench_tenancy', sign_in => $self->sign_in($org)});
	return @variants if exists $option{peers} && !$option{peers};
	for (split /\n/, $self->sql('SELECT name, title, sign_in FROM bench.peers ORDER BY position'))
	{
		my ($name, $title, $sign_in) = split /\|/;
		$sign_in =~ s/%org%/$org_id/g;
		$sign_in =~ s/%person%/$person_id/g;
		push @variants, {name => $name, title => $title, user => "bench_$name", sign_in => $sign_in, peer => 1};
	}
	return @variants;
}

# What a connection of bench_tenancy sends first, to be person number $person.
sub sign_in
{
	my ($self, $person) = @_;
	my $token = $self->token("person-$person");
	return "SET tenancy.session_token = '$token'";
}

# The statement number $i of a message as a variant sends it. What stands in [[ ]] is for those that name the org: the
# floor, and whom the work adds.
sub statement
{
	my ($self, $work, $variant, $i) = @_;
	my $sql = $variant->{statement} // $work->{statement};
	$sql = $sql->($i) if ref $sql;
	if ($variant->{names_org} || $work->{named_by} && $work->{named_by}->($variant)) { $sql =~ s/\[\[|\]\]//g }
	else { $sql =~ s/\[\[.*?\]\]//g }
	return $sql;
}

# ---- one figure ----

# Latencies in seconds of single transactions, of one client unless told otherwise, in the order of their ends.
# Options: as for pgbench_report.
sub pgbench
{
	my ($self, %option) = @_;
	my $prefix = "$self->{work}/tmp/log";
	unlink glob "$prefix.*";
	$self->pgbench_report(%option, report => ['-l', "--log-prefix=$prefix"]);
	return map { (split / /)[2] / 1e6 } map { split /\n/, $self->read($_) } glob "$prefix.*";
}

# Seconds from the end of one connection's only transaction to the end of the next one's. Options: as for pgbench_report.
sub pgbench_connections
{
	my ($self, %option) = @_;
	my $prefix = "$self->{work}/tmp/log";
	unlink glob "$prefix.*";
	$self->pgbench_report(%option, report => ['-C', '-l', "--log-prefix=$prefix"]);
	my @ends = map { my @field = split / /; $field[4] + $field[5] / 1e6 } map { split /\n/, $self->read($_) } glob "$prefix.*";
	return map { $ends[$_] - $ends[$_ - 1] } 1 .. $#ends;
}

# What pgbench prints. Options: user, script, transactions, or seconds; vars; clients, database, seed; report, what it
# is to report.
sub pgbench_report
{
	my ($self, %option) = @_;
	my $script = $self->write("$self->{work}/tmp/script.sql", $option{script});
	my $clients = $option{clients} // 1;
	my @length = $option{seconds} ? ('-T', $option{seconds}) : ('-t', $option{transactions});
	my %vars = (first => 1, %{$option{vars} // {}});
	return $self->run_program('pgbench', '-n', '-M', 'prepared', '-c', $clients, '-j', $clients > 1 ? 2 : 1, @length, @{$option{report} // []},
		'--random-seed', $option{seed} // 1, (map { ('-D', "$_=$vars{$_}") } sort keys %vars),
		'-f', $script, '-U', $option{user}, $option{database} // $ENV{PGDATABASE});
}

# pgbench's script for $n statements a message, each with its own draw of the random variables.
sub script
{
	my ($self, $work, $variant, $n) = @_;
	my $draw = $work->{draw} // '';
	my $body = join '', map { "$draw\n" . $self->statement($work, $variant, $_) . ";\n" } 1 .. $n;
	$body = "\\startpipeline\n$body\\endpipeline\n" if $n > 1 || $work->{pipelined};
	my $first = $self->first($work, $variant);
	return "\\if :first\n$first\n\\set first 0\n\\endif\n$body";
}

# What a connection sends once: its identity, and settings of the work's.
sub first
{
	my ($self, $work, $variant) = @_;
	return join ' ', map { "$_;" } $variant->{sign_in}, $work->{session} // ();
}

# Seconds for one statement, $n in a message.
sub measure
{
	my ($self, $work, $variant, $n, $round) = @_;
	my $probed = $variant->{probed};
	return $probed if $variant->{peer} && $probed > $self->{slow};
	my $batch = $probed > $UNHURRIED ? 1 : $n;
	my $unsettled = $probed > 0.02 ? 1 : $UNSETTLED;
	my $run = sub {
		my ($estimate) = @_;
		my $transactions = $unsettled + max($estimate * $batch < 0.02 ? 12 : 3, int($self->{seconds} / ($estimate * $batch)));
		my @latencies = $self->pgbench(user => $variant->{user}, script => $self->script($work, $variant, $batch),
			vars => {org => $self->org($work->{org}), %{$variant->{vars} // {}}}, transactions => $transactions, seed => $round + 1);
		# A backend's first look at each page of shared memory is dear, too.
		splice @latencies, 0, max($unsettled, $batch < $n ? 0 : @latencies / 4);
		return undisturbed(@latencies) / $batch;
	};
	return $run->($probed) if $variant->{peer} && $self->{size} eq 'quick';
	# The probe's time has planning and a message in it: good enough for a first, short run alone.
	$variant->{estimate}{$n} //= $run->($probed);
	return $variant->{estimate}{$n} = $run->($variant->{estimate}{$n});
}

# Seconds for a statement under another token each time, and for the SET before it, $n in a message. There are so many tokens
# that a connection has forgotten each by its next turn. Options: tokens, setting, statement, user, database.
sub measure_tokens
{
	my ($self, $n, %option) = @_;
	my @tokens = @{$option{tokens}};
	my ($script, $messages) = ('', 0);
	while (my @message = splice @tokens, 0, $n)
	{
		$script .= join '', ($messages ? '\elif' : '\if'), " :turn = $messages\n\\startpipeline\n",
		  (map { "SET $option{setting} = '$_';\n$option{statement};\n" } @message), "\\endpipeline\n";
		$messages++;
	}
	$script .= "\\endif\n\\set turn (:turn + 1) % $messages\n";
	my @latencies = $self->pgbench(%option{'user', 'database'}, script => $script, vars => {turn => 0}, transactions => 4 * $messages);
	splice @latencies, 0, $messages;
	return undisturbed(@latencies) / $n;
}

# What a statement returns, and a first idea of how long it takes: by psql, and nothing is kept of it. The first time has
# the verification of the token and cold caches in it.
sub probe
{
	my ($self, $work, $variant) = @_;
	my ($first, @rows) = eval { $self->probe_times($work, $variant, 1) };
	if ($@ =~ /statement timeout/)
	{
		$variant->{at_least} = $variant->{differs} = 1;
		($first, @rows) = $self->{patience};
	}
	elsif ($@) { die $@ }
	my ($seconds) = $first < 0.1 ? $self->probe_times($work, $variant, 4) : $first;
	$variant->{probed} = $seconds;
	return join "\n", @rows;
}

# The shortest time of so many executions in one session, and the rows of all.
sub probe_times
{
	my ($self, $work, $variant, $times) = @_;
	my $sql = $self->statement($work, $variant, 1);
	my $patience = $variant->{peer} ? "SET statement_timeout = '$self->{patience}s';" : '';
	my $script = join "\n", '\o /dev/null', $self->first($work, $variant), '\o', $patience, 'BEGIN;', '\timing on', ("$sql;") x $times, '\timing off', 'ROLLBACK;';
	my %vars = (org => $self->org($work->{org}), %{$variant->{vars} // {}});
	my @lines = split /\n/, $self->sql($script, user => $variant->{user},
		vars => {(map { $_ => "'$vars{$_}'" } keys %vars), %{$work->{sample} // {}}});
	my $time = qr/^Time: ([0-9.]+) ms/;
	my @seconds = map { /$time/ ? $1 / 1000 : () } @lines;
	# A request is of several statements.
	my $statements = @seconds / $times;
	my @executions = map { sum(splice @seconds, 0, $statements) } 1 .. $times;
	return min(@executions), grep { !/$time/ } @lines;
}

# The time of an undisturbed transaction: the mean of the fastest quarter, without the very fastest. On a machine that others use,
# too, many a transaction has waited for a processor. Short ones are taken together first, since pgbench counts microseconds.
sub undisturbed
{
	my @latencies = @_;
	my $together = min(int(@latencies / 10), int(5e-4 / (median(@latencies) || 1e-6)));
	if ($together > 1)
	{
		my @blocks;
		push @blocks, sum(splice @latencies, 0, $together) / $together while @latencies >= $together;
		@latencies = @blocks;
	}
	my @sorted = sort { $a <=> $b } @latencies;
	my ($from, $to) = (int(@sorted * 0.05), int(@sorted * 0.25));
	return sum(@sorted[$from .. $to]) / ($to - $from + 1);
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return @sorted % 2 ? $sorted[$#sorted / 2] : ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2;
}

1;
