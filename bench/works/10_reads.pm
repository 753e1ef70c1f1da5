# Reading in orgs of 5,000 rows, and all of the largest.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	my $first = $bench->{slots} / 2 + 7;    # a row of org 10: see data/contact.sql
	my %by_key = (
		data => 'contact',
		org => 10,
		draw => "\\set id $first + $bench->{slots} * random(0, 499)",
		sample => {id => $first});
	return (
		{   %by_key,
			name => 'point',
			title => 'point select by id',
			goal => 1.10,
			statement => 'SELECT name, email FROM contact WHERE id = :id[[ AND org_id = :org]]',
		},
		{   %by_key,
			name => 'join',
			title => 'two protected tables joined, point',
			goal => 1.15,
			statement => 'SELECT c.name, o.name FROM contact c JOIN company o ON o.id = c.company_id'
			  . ' WHERE c.id = :id[[ AND c.org_id = :org AND o.org_id = :org]]',
		},
		{   %by_key,
			name => 'page',
			title => 'page of 20 by key',
			goal => 1.05,
			# Planned once: it hangs on the statistics whether PostgreSQL would plan it each time, three times as dear as running it.
			session => 'SET plan_cache_mode = force_generic_plan',
			draw => '\set number random(0, 499)',
			sample => {number => 7},
			statement => 'SELECT number, name, created_at FROM contact WHERE number > :number[[ AND org_id = :org]] ORDER BY number LIMIT 20',
		},
		{   name => 'count',
			title => "count of one org's 5,000 rows",
			goal => 1.03,
			data => 'contact',
			org => 10,
			statement => 'SELECT count(*) FROM contact[[ WHERE org_id = :org]]',
		},
		{   name => 'aggregate',
			title => sprintf('aggregate without a useful index, %.2g M of %.2g M rows', $bench->{slots} * 0.002, $bench->{slots} * 0.005),
			goal => 1.05,
			data => 'contact',
			org => 1,
			forms => [1],
			# Planned for the org it is about, as a query this long should be.
			session => 'SET plan_cache_mode = force_custom_plan',
			statement => 'SELECT sum(amount) FROM contact[[ WHERE org_id = :org]]',
		});
};
