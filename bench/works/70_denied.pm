# What somebody costs who may not read: the same statement, by a member of the org whose role allows nothing, against one
# whose role does.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	my %by_name = map { $_->{name} => $_ } $bench->variants(10);
	my $pair = sub {
		my ($name, $title, $onlooker, %more) = @_;
		return (
			{%{$by_name{$name}}, name => "${name}_permitted", title => "$title, permitted", base => "${name}_permitted", judged => 0},
			{%{$by_name{$name}}, name => "${name}_denied", title => "$title, denied", base => "${name}_permitted", sign_in => $onlooker, differs => 1, %more});
	};
	my ($org, $onlooker) = ($bench->org(10), $bench->person(-10));
	my $sign_in = "SET app.user_id = '$onlooker'; SET app.org_id = '$org'";
	my $variants = sub {
		return [
			$pair->('tenancy', 'tenancy', $bench->sign_in(-10), judged => 1),
			$pair->('can_i_sql', 'SQL can_i()', $sign_in),
			$pair->('can_i_sql_wrapped', '(SELECT SQL can_i())', $sign_in)];
	};
	my %work = (data => 'contact', org => 10, goal => 0.5);
	return (
		{   %work,
			name => 'denied_page',
			title => 'page of 20 by key, denied',
			session => 'SET plan_cache_mode = force_generic_plan',    # as in 10_reads.pm
			draw => '\set number random(0, 499)',
			sample => {number => 7},
			statement => 'SELECT number, name, created_at FROM contact WHERE number > :number ORDER BY number LIMIT 20',
			variants => $variants->(),
		},
		{   %work,
			name => 'denied_count',
			title => "count of one org's 5,000 rows, denied",
			statement => 'SELECT count(*) FROM contact',
			variants => $variants->(),
		});
};
