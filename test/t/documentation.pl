# README.md and docs/reference.md say what is there: every function, view, setting, status and SQLSTATE, with the
# signatures it has; links lead somewhere; and every ```sql example runs.
#
# The examples of a file run in order in one database, set up as dev/cluster sets it up, each in a connection of its own.
# Its first line says as whom ("-- as the DBA" if it says nothing): "-- as the application" or "-- as the application,
# signed in as NAME", which is any variable of @people. A line that ends with "-- error X" must fail with SQLSTATE X, and
# no other line may.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @people = qw(alice bob root);
my $issuer = 'https://issuer.test';
my $mint = $ENV{MINT} or die "MINT is not set\n";

-d 'docs' or die "docs/ and the *.md files are not in this copy of the sources: build_and_stage in dev/lib.sh copies it\n";
my %document = map { $_ => slurp_file($_) } qw(README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs/reference.md);
my $reference = $document{'docs/reference.md'};

# ---- a server as dev/cluster starts it ----

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init;
$node->start;

my $key = $node->data_dir . '/issuer.key';
system(qq{umask 077; "$mint" key ES256 > "$key"}) == 0 or die "cannot make a key\n";
chomp(my $jwks = `"$mint" jwks "$key,dev"`);
my %variables = (jwks => $jwks, map { $_ => token($_) } @people);

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE');

sub token
{
	my ($subject) = @_;
	my $claims = sprintf '{"iss":"%s","sub":"%s","iat":%d,"exp":%d,"email":"%s@example.com","email_verified":true}',
	  $issuer, $subject, time, time + 3600, $subject;

	chomp(my $token = `"$mint" token "$key" --header '{"alg":"ES256","kid":"dev"}' --claims '$claims'`);
	return $token;
}

sub create_database
{
	my ($database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	# An example may have changed it; a role is all databases'.
	$node->safe_psql('postgres', 'ALTER ROLE app RESET ALL');
	$node->safe_psql($database, "CREATE EXTENSION tenancy; SELECT tenancy.grant_access('app');"
		  . " SELECT tenancy.trust_issuer('$issuer', '$jwks')");
}

# ---- what there is ----

sub rows { return split /\n/, $node->safe_psql('catalog', $_[0]) }

create_database('catalog');

my %signature = map { split /\t/ } rows(<<'SQL');
SELECT p.proname || E'\t' || format('tenancy.%s(%s) → %s', p.proname,
	(SELECT coalesce(string_agg(concat_ws(' ', a.name, format_type(a.type, NULL)) || coalesce(' DEFAULT ' ||
			regexp_replace(pg_get_function_arg_default(p.oid, a.i::int), '::[a-z\[\] ]+$', ''), ''), ', ' ORDER BY a.i), '')
	FROM unnest(p.proargtypes::oid[], p.proargnames[1:p.pronargs]) WITH ORDINALITY AS a (type, name, i)),
	CASE WHEN p.proretset THEN 'setof ' ELSE '' END ||
	coalesce((SELECT 'row (' || string_agg(concat_ws(' ', a.name, format_type(a.type, NULL)), ', ' ORDER BY a.i) || ')'
		FROM unnest(p.proallargtypes, p.proargnames, p.proargmodes) WITH ORDINALITY AS a (type, name, mode, i)
		WHERE a.mode IN ('o', 't')), format_type(p.prorettype, NULL)))
FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
SQL
my @granted = rows(<<'SQL');
SELECT p.proname FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND has_function_privilege('app', p.oid, 'EXECUTE') ORDER BY 1
SQL
my %relation = map { split /\t/ } rows(<<'SQL');
SELECT c.relname || E'\t' || (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
	FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
SQL
my @readable = rows(<<'SQL');
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
	AND has_table_privilege('app', c.oid, 'SELECT') ORDER BY 1
SQL
my @tables = rows("SELECT relname FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' ORDER BY 1");
# pg_settings leaves session_token out, as SHOW ALL does.
my %default = (
	session_token => '',
	map { /^tenancy\.(\w+)\t(.*)$/ } rows(<<'SQL'));
LOAD 'tenancy';
SELECT name || E'\t' || boot_val FROM pg_settings WHERE name LIKE 'tenancy.%'
SQL
my @sqlstates = map { join '', /'(.)'/g } slurp_file('src/errcodes.h') =~ /MAKE_SQLSTATE\((.*?)\)/g;
my %next_step = slurp_file('src/session.c') =~ /\[TN_STATUS_\w+\] = \{"(\w+)", "(\w+)"\}/g;

# ---- what the reference says ----

my %section = $reference =~ /^### tenancy\.(\w+)\n(.*?)(?=^##|\z)/gms;
my ($internal) = $reference =~ /^## Internal functions\n(.*)/ms;
my ($catalog) = $reference =~ /^## Catalog tables\n(.*?)^## /ms;

# A signature may be wrapped anywhere.
sub says { return index($_[0] =~ s/\s+/ /gr, $_[1]) >= 0 }

sub are_documented
{
	my ($what, @names) = @_;

	is_deeply([ grep { !exists $section{$_} } @names ], [], "every $what has a heading");
}

are_documented('function granted to the application', @granted);
are_documented('relation that the application may read', @readable);
are_documented('setting', sort keys %default);
is_deeply([ grep { !exists $signature{$_} && !exists $relation{$_} && !exists $default{$_} } sort keys %section ],
	[], 'every heading names something that exists');
is_deeply([ grep { !exists $section{$_} && $internal !~ /`$_`/ } sort keys %signature ],
	[], 'every other function is listed as internal');
is_deeply([ grep { !exists $signature{$_} || exists $section{$_} } $internal =~ /`(\w+)`/g ],
	[], 'no function is listed as internal that is not');
is_deeply([ grep { exists $signature{$_} && !says($section{$_}, "`$signature{$_}`") } sort keys %section ],
	[], 'signatures are right');
is_deeply([ grep { exists $relation{$_} && !says($section{$_}, "`$relation{$_}`") } sort keys %section ],
	[], 'columns are right');
is_deeply(
	[   grep { !says($section{$_}, 'default ' . ($default{$_} eq '' ? 'empty' : "`$default{$_}`")) }
		grep { exists $section{$_} } sort keys %default
	],
	[], 'defaults are right');
is_deeply([ grep { exists $signature{$_} && $section{$_} !~ /^```sql$/m } sort keys %section ],
	[], 'every function has an example');
is_deeply([ grep { $catalog !~ /^\| .*`$_`.* \|/m } @tables ], [], 'every table is in the overview');

is_deeply([ $reference =~ /^\| ((?:28T|TN)\w{2,3}) \|/gm ], \@sqlstates, 'the SQLSTATEs are those of errcodes.h');
for my $file ('README.md', 'docs/reference.md')
{
	my %known = map { $_ => 1 } @sqlstates;
	my ($table) = $document{$file} =~ /^(\| status \|.*?)^$/ms;
	my %listed = $table =~ /^\| `(\w+)` \| `(\w+)` \|/gm;

	is_deeply([ grep { !$known{$_} } $document{$file} =~ /\b(28T\d\d|TN\d\d\d)\b/g ], [], "$file names no other SQLSTATE");
	is_deeply(\%listed, \%next_step, "$file lists every status with its next step");
}

# ---- links ----

# The anchors that GitHub makes of a document's headings.
sub anchors
{
	my ($text) = @_;

	$text =~ s/^```.*?^```$//gms;
	return map { s/[^\w\- ]//gr =~ tr/ /-/r } map { lc } $text =~ /^#+ (.*)$/gm;
}

for my $file (sort keys %document)
{
	my @broken;
	my $text = $document{$file} =~ s/^```.*?^```$//gmsr;

	for my $link ($text =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ /^(?:https?|mailto):/;
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $file : ($file =~ s{[^/]*$}{}r) . $path;

		if (!-e $target) { push @broken, $link }
		elsif (defined $anchor && !grep { $_ eq $anchor } anchors(slurp_file($target))) { push @broken, $link }
	}
	is_deeply(\@broken, [], "links of $file");
}

# ---- examples ----

sub run_example
{
	my ($database, $name, $example) = @_;
	my $whose = qr/\A-- as the (?:DBA|application(?:, signed in as (\w+))?)\n/;
	my $as_application = $example =~ /\A-- as the application/;
	my @expected = $example =~ /-- error (\w{5})$/gm;
	my $prelude = '';
	my $stderr;

	if ($example =~ /\A-- as/)
	{
		$example =~ $whose or return fail("$name: says as whom");
		$prelude = "SET tenancy.session_token = :'$1';\n" if defined $1;
	}
	my $status = $node->psql(
		$database, "\\set VERBOSITY sqlstate\n$prelude$example",
		connstr => $node->connstr($database) . ($as_application ? ' user=app' : ''),
		on_error_stop => 0,
		stderr => \$stderr,
		extra_params => [ map { ('-v', "$_=$variables{$_}") } sort keys %variables ]);
	my @errors = $stderr =~ /^psql:<stdin>:\d+: (?:ERROR:  )?(.*)$/gm;

	is_deeply([ $status, @errors ], [ 0, @expected ], $name) or diag("$example\n$stderr");
}

for my $file ('README.md', 'docs/reference.md')
{
	my $database = lc($file =~ s/\W/_/gr);
	my $line = 1;
	my $examples = 0;

	create_database($database);
	for my $part (split /^(```sql\n.*?^```\n)/ms, $document{$file})
	{
		if ($part =~ /\A```sql\n(.*)^```\n\z/ms)
		{
			$examples++;
			run_example($database, "example at $file:$line", $1);
		}
		$line += $part =~ tr/\n//;
	}
	cmp_ok($examples, '>', 0, "$file has examples");
}

$node->stop;
done_testing();
