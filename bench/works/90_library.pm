# What it costs to have the library loaded where nothing is protected: the floor in a connection with it and in one without.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	my $first = $bench->{slots} / 2 + 7;
	return {
		name => 'library',
		title => 'the library loaded, nothing protected: point select',
		goal => 'no more than noise',
		data => 'contact',
		org => 10,
		draw => "\\set id $first + $bench->{slots} * random(0, 499)",
		sample => {id => $first},
		statement => 'SELECT name, email FROM contact WHERE id = :id[[ AND org_id = :org]]',
		variants => [
			{name => 'unloaded', title => 'floor, not loaded', user => 'bench_unloaded', sign_in => 'SELECT 1', names_org => 1},
			{name => 'loaded', title => 'floor, loaded', user => 'bench_floor', sign_in => 'SELECT 1', names_org => 1, judged => 1},
		],
	};
};
