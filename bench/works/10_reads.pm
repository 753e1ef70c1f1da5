# Reading by key, in an org of 5,000 rows.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	my $first = $bench->{slots} / 2 + 7;    # a row of org 10: see data/contact.sql
	return {
		name => 'point',
		title => 'point select by id',
		goal => 1.10,
		data => 'contact',
		org => 10,
		statement => 'SELECT name, email FROM contact WHERE id = :id[[ AND org_id = :org]]',
		draw => "\\set id $first + $bench->{slots} * random(0, 4999)",
		sample => {id => $first},
	};
};
