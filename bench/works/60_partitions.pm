# A table of 32 hash partitions by org.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	my %work = (
		data => 'ledger',
		org => 10,
		draw => '\set id 9 + 1000 * random(0, 319)',
		sample => {id => 9},
		statement => 'SELECT amount, memo FROM ledger WHERE id = :id[[ AND org_id = :org]]');
	return (
		{   %work,
			name => 'partitions_named',
			title => 'point select on 32 partitions, the org named',
			goal => 1.10,
			named_by => sub { 1 },
		},
		{%work, name => 'partitions', title => 'point select on 32 partitions, no org named', goal => 1.5});
};
