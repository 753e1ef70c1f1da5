# Search by operators that are not leakproof, as PostgreSQL comes and after the DBA's tenancy.allow_pushdown(). What is
# searched for is a constant in the statement: a plan made once for all parameters has no index for a pattern, in no design.
use strict;
use warnings;

use Digest::MD5 qw(md5_hex);

my @searches = (
	{   name => 'like',
		title => q{LIKE 'x%'},
		condition => sub { sprintf q{name LIKE '%s%%'}, substr md5_hex("name $_[0]"), 0, 8 },
	},
	{   name => 'lower',
		title => 'lower(x) =',
		condition => sub { "lower(email) = 'user-$_[0]\@example.com'" },
	},
	{   name => 'jsonb',
		title => 'jsonb @>',
		condition => sub { sprintf q(doc @> '{"sku": "s%d"}'), $_[0] % 50000 },
	},
	{   name => 'text',
		title => 'full text',
		condition => sub { sprintf q{body @@ to_tsquery('simple', 'word%d')}, $_[0] % 50000 },
	});

sub {
	my ($bench) = @_;
	my $there = $bench->sql(q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace AND proname = 'allow_pushdown'});
	my @works;
	for my $search (@searches)
	{
		my $statement = sub {
			my ($i) = @_;
			# A row of org 10: see data/article.sql.
			my $condition = $search->{condition}->(9 + $bench->{articles} * ($i * 83 % 5000));
			return "SELECT id, name FROM article WHERE $condition\[[ AND org_id = :org]] ORDER BY id";
		};
		my %work = (data => 'article', org => 10, statement => $statement);
		push @works, {%work, name => "$search->{name}", title => "$search->{title} under plain row security"};
		push @works,
		  { %work,
			name => "$search->{name}_pushdown",
			title => "$search->{title} after allow_pushdown()",
			goal => 1.15,
			lacking => $there ? undef : 'there is no tenancy.allow_pushdown()',
			before => 'SELECT tenancy.allow_pushdown() \g /dev/null',
			after => 'SELECT tenancy.revoke_pushdown() \g /dev/null',
		  };
	}
	return @works;
};
