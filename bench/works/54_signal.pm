# A change of one membership is heard by every connection. Eight of them run point selects, each as somebody else, while one
# more changes the membership of a ninth person a hundred times a second, or a row of a table that is none of ours.
use strict;
use warnings;

my $READERS = 8;
my %SECONDS = (full => 3, quick => 1);

sub {
	my ($bench) = @_;
	my $first = $bench->{slots} / 2;
	my $sign_in = '';
	my $prepare = sub {
		$bench->sql(<<'SQL');
CREATE TABLE bench.memberships AS SELECT user_id, org_id, created_at FROM tenancy.memberships;
ALTER TABLE bench.memberships ADD PRIMARY KEY (user_id, org_id);
SQL
		for my $reader (0 .. $READERS - 1)
		{
			my $person = 10 + $reader;    # of an org with 5,000 rows: see data/contact.sql
			$sign_in .= ($reader ? '\elif' : '\if') . " :client_id = $reader\n" . $bench->sign_in($person) . ";\n\\set mine $first + $person - 3\n";
		}
		$sign_in = "\\if :first\n$sign_in\\endif\n\\set first 0\n\\endif\n";
	};

	# Seconds between two selects of all readers together, while $table changes.
	my $run = sub {
		my ($table) = @_;
		my $change = $bench->write("$bench->{work}/tmp/change.sql",
			"UPDATE $table SET created_at = clock_timestamp() WHERE user_id = '" . $bench->person(500) . "';\n");
		my $seconds = $SECONDS{$bench->{size}};
		my $writer = open my $out, '-|', 'pgbench', '-n', '-M', 'prepared', '-R', 100, '-T', $seconds + 1, '-f', $change, '-U', 'postgres'
		  or die "pgbench: $!\n";
		my $report = $bench->pgbench_report(user => 'bench_tenancy', clients => $READERS, seconds => $seconds,
			script => "${sign_in}\\set id :mine + $bench->{slots} * random(0, 4999)\nSELECT name, email FROM contact WHERE id = :id;\n");
		my $changes = do { local $/; <$out> };
		close $out or die "the writer failed\n";
		my ($rate) = $changes =~ /^tps = ([0-9.]+)/m;
		$bench->say_progress(sprintf 'the machine is too busy: %.0f changes a second', $rate) if $rate < 90;
		my ($tps) = $report =~ /^tps = ([0-9.]+)/m or die "no throughput in: $report\n";
		return 1 / $tps;
	};
	return {
		name => 'signal',
		title => "point selects of $READERS connections, 100 changes a second",
		goal => 2,
		unit => '% lost',
		compare => sub { 100 * (1 - $_[1] / $_[0]) },
		data => 'contact',
		prepare => $prepare,
		variants => [
			{name => 'floor', title => 'changes of a plain table', run => sub { $run->('bench.memberships') }},
			{name => 'tenancy', title => 'changes of memberships', run => sub { $run->('tenancy.memberships') }},
		],
	};
};
