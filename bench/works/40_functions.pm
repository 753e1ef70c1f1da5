# What one call of a function costs: a scan that calls it as an aggregate's argument, where it runs for every row, less
# the same scan that counts a column.
use strict;
use warnings;

my $rows = 20_000;    # of bench.numbers: see data/base.sql

sub {
	my ($bench) = @_;
	my %by_name = map { $_->{name} => $_ } $bench->variants(10);
	my $count = sub { "SELECT count($_[0]) FROM bench.numbers" };
	my $call = sub {
		my ($variant, $expression, %more) = @_;
		return {%{$by_name{$variant}}, title => $expression, statement => $count->($expression), differs => 1, peer => $variant ne 'tenancy', %more};
	};
	my $org = $bench->org(10);
	my %work = (
		unit => 'ns',
		org => 10,
		forms => [1],
		compare => sub { ($_[0] - $_[1]) / $rows * 1e9 });
	my $scan = $call->('tenancy', 'n', name => 'scan', title => 'the scan alone');
	return (
		{   %work,
			name => 'can_i',
			title => q{can_i('read', 'contact'), one call},
			goal => 10,
			variants => [
				$scan,
				$call->('tenancy', q{tenancy.can_i('read', 'contact')}),
				$call->('can_i_sql', q{authz.can_i('read', 'contact')}),
				$call->('can_i_plpgsql', q{authz.can_i_plpgsql('read', 'contact')}),
				$call->('supabase_claim', q{auth.authorize('contact.read')}),
				$call->('basejump', "basejump.has_role_on_account('$org')", title => 'basejump.has_role_on_account()'),
			],
		},
		{   %work,
			name => 'current_org',
			title => 'current_org(), one call',
			goal => 5,
			variants => [
				{%$scan},
				$call->('tenancy', 'tenancy.current_org()'),
				$call->('setting', q{current_setting('app.org_id')::uuid}),
				$call->('supabase_claim', q{(auth.jwt() -> 'app_metadata' ->> 'org_id')::uuid}),
				$call->('supabase_member', 'auth.uid()'),
			],
		});
};
