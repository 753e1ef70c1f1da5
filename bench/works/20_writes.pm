# Writing single rows; a message of 50 is one transaction.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	return (
		{   name => 'insert',
			title => 'insert',
			goal => 1.10,
			data => 'task',
			org => 10,
			# Only tenancy fills the org in by itself.
			named_by => sub { $_[0]->{peer} },
			statement => 'INSERT INTO task ([[org_id, ]]title) VALUES ([[:org, ]]\'A task like any other\')',
		},
		{   name => 'update',
			title => 'update by key',
			goal => 1.10,
			data => 'task',
			org => 10,
			draw => "\\set id 9 + $bench->{tasks} * random(0, 999)",
			sample => {id => 9},
			statement => 'UPDATE task SET changes = changes + 1 WHERE id = :id[[ AND org_id = :org]]',
		});
};
