# Somebody who signs up, one who is invited, an acceptance and a purge are interrupted at every row that they write, and at their
# commit: by a cancel, a timeout, the end of the connection. Nothing of it is left then; without a fault it is done as ever. And a
# backend or the postmaster that is killed in its middle: test/long/crashes.pl does that at every point.
use strict;
use warnings;
use lib 'test/t';

use Test::More;
use FaultTest;

my $node = start_faulty('faults');

is($node->safe_psql('postgres', 'SELECT * FROM invariants.broken'), '', 'before: everything is whole');
for my $operation (operations())
{
	my $name = $operation->{name};
	my @points = points($node, $operation);
	my $before = $node->safe_psql('postgres', 'SELECT faults.state()');

	cmp_ok(scalar @points, '>=', 5, "$name has points: " . join ', ', @points);
	is($points[-1], 'commit', "$name: the last is its commit");
	for my $point (@points)
	{
		like(interrupt($node, $operation, $point, sub { $_[0]->safe_psql('postgres', "SELECT pg_cancel_backend($_[1])") }), qr/ERROR:  57014/, "$name, canceled at $point");
		like(interrupt($node, $operation, $point, sub { $_[0]->safe_psql('postgres', "SELECT pg_terminate_backend($_[1])") }), qr/FATAL:  57P01/, "$name, terminated at $point");
		# PostgreSQL's statement_timeout ends before the commit begins.
		like(time_out($node, $operation, $point), qr/point \Q$point\E\n.*ERROR:  57014: canceling statement due to statement timeout/s, "$name, timed out at $point")
		  if $point ne 'commit';
		is_absent($node, $before, "$name, ended at $point: nothing has happened");
	}
	like(interrupt($node, $operation, $points[-1], undef, "SET lock_timeout = '1ms'"), qr/ERROR:  55P03/, "$name: lock_timeout");
	like(interrupt($node, $operation, $points[@points / 2], \&kill_backend), qr/server closed the connection/, "$name: its backend is killed");
	is_absent($node, $before, "$name: nothing has happened");
	like(interrupt($node, $operation, $points[-1], \&kill_postmaster), qr/server closed the connection|terminating connection/, "$name: the postmaster is killed");
	is_absent($node, $before, "$name: nothing has happened, again");
	is_whole($node, $operation);
}

# What is committed outlives a crash that follows at once.
my $after = $node->safe_psql('postgres', 'SELECT faults.state()');
kill_postmaster($node);
is_absent($node, $after, 'what was committed is all there');

$node->stop;
done_testing();
