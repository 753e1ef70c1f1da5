# README.md and docs/reference.md say what is there: every function, view, setting, status and SQLSTATE, with the
# signatures it has; links lead somewhere; and every ```sql example of these two and of the guides runs.
#
# The examples of a file run in order in one database, set up as dev/cluster sets it up, each in a connection of its own.
# Its first line says as whom ("-- as the DBA" if it says nothing): "-- as the application", "-- as the application,
# signed in as NAME", which is any variable of @people, or "-- as the role NAME", a database role. A line that ends with "-- error X" must fail with SQLSTATE X, and
# no other line may. "-- → TEXT" after a statement is what it must return last: columns joined by ", ", rows by " / ".
use strict;
use warnings;

use JSON::PP;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @people = qw(alice bob carol dan erin erin_again frank grace root);
my %issuer = (
	name => 'https://issuer.test',
	algorithm => 'ES256',
	claims => sub { return {email => ($_[0] =~ s/_again$//r) . '@example.com', email_verified => JSON::PP::true} });
# A guide to a provider trusts it by itself, and has tokens of its kind.
my %issuer_of = (
	'docs/clerk.md' => {
		name => 'https://example.clerk.accounts.dev',
		algorithm => 'RS256',
		claims => sub {
			return {
				v => 2, sid => "sess_$_[0]", sts => 'active', azp => 'https://app.example.com', fva => [ 5, -1 ],
				email => "$_[0]\@example.com", email_verified => JSON::PP::true, name => ucfirst $_[0],
				o => {id => 'org_acme', slg => 'acme', rol => 'admin'}};
		}},
	'docs/better-auth.md' => {
		name => 'https://app.example.com',
		algorithm => 'EdDSA',
		claims => sub {
			return {
				aud => 'https://app.example.com', email => "$_[0]\@example.com", emailVerified => JSON::PP::true,
				name => ucfirst $_[0], sid => "session-$_[0]", activeOrganizationId => 'ba_acme', impersonatedBy => undef,
				auth_time => time - 300};
		}},
	'docs/oidc.md' => {
		name => 'https://id.example.com',
		algorithm => 'ES256',
		claims => sub {
			return {
				aud => 'https://api.example.com', email => "$_[0]\@example.com", email_verified => JSON::PP::true,
				name => ucfirst $_[0], org_id => 'customer-17', auth_time => time};
		}});
my $mint = $ENV{MINT} or die "MINT is not set\n";

-d 'docs' or die "docs/ and the *.md files are not in this copy of the sources: build_and_stage in dev/lib.sh copies it\n";
my @guides = grep { $_ ne 'docs/reference.md' } sort glob 'docs/*.md';
my %document = map { $_ => slurp_file($_) } qw(README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs/reference.md), @guides;
my $reference = $document{'docs/reference.md'};

# ---- a server as dev/cluster starts it ----

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
$node->start;

my %keys;

# The psql variables of a file's examples: tokens of everybody, and the key set of their issuer.
sub variables
{
	my ($by) = @_;
	my $key = $keys{$by->{name}};

	if (!defined $key)
	{
		$key = $keys{$by->{name}} = $node->data_dir . '/issuer' . keys(%keys) . '.key';
		system(qq{umask 077; "$mint" key $by->{algorithm} > "$key"}) == 0 or die "cannot make a key\n";
	}
	chomp(my $jwks = `"$mint" jwks "$key,dev"`);
	return (jwks => $jwks, map { $_ => token($by, $key, $_) } @people);
}

sub token
{
	my ($by, $key, $subject) = @_;
	my $claims = JSON::PP->new->canonical->encode(
		{iss => $by->{name}, sub => $subject, iat => time, exp => time + 3600, %{$by->{claims}->($subject)}});

	chomp(my $token = `"$mint" token "$key" --header '{"alg":"$by->{algorithm}","kid":"dev"}' --claims '$claims'`);
	return $token;
}

my %variables = variables(\%issuer);

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE');

sub create_database
{
	my ($database, $trusting) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	# An example may have changed it; a role is all databases'.
	$node->safe_psql('postgres', 'ALTER ROLE app RESET ALL');
	$node->safe_psql($database, "CREATE EXTENSION tenancy; SELECT tenancy.grant_access('app');");
	$node->safe_psql($database, "SELECT tenancy.trust_issuer('$issuer{name}', '$variables{jwks}')") if $trusting;
}

# ---- what there is ----

sub rows { return split /\n/, $node->safe_psql('catalog', $_[0]) }

create_database('catalog', 1);

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
# Every check of doctor() is in the table, and its fault is planted in a test.
my %planted = map { $_ => 1 } map { /^(?:error|warning|notice) (\w+): / ? $1 : /^(\w+)\|(?:error|warning|notice)\|/ ? $1 : () } split /\n/, slurp_file('expected/doctor.out') . slurp_file('expected/guard.out');
is_deeply([ sort $section{doctor} =~ /^\| `(\w+)` \|/gm ], [ sort keys %planted ], 'the checks of doctor() are listed and tested');
is_deeply([ grep { $catalog !~ /^\| .*`$_`.* \|/m } @tables ], [], 'every table is in the overview');

is_deeply([ $reference =~ /^\| ((?:28T|TN)\w{2,3}) \|/gm ], \@sqlstates, 'the SQLSTATEs are those of errcodes.h');
for my $file ('README.md', 'docs/reference.md', 'docs/web-application.md')
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
	my ($database, $name, $example, %variables) = @_;
	my $whose = qr/\A-- as the (?:DBA|role \w+|application(?:, signed in as (\w+))?)\n/;
	my ($role) = $example =~ /\A-- as the (?:role )?(application|(?<=role )\w+)/;
	my @expected = $example =~ /-- error (\w{5})$/gm;
	my $prelude = '';
	my ($stdout, $stderr);

	if ($example =~ /\A-- as/)
	{
		$example =~ $whose or return fail("$name: says as whom");
		$prelude = "SET tenancy.session_token = :'$1';\n" if defined $1;
	}
	my @promised = $example =~ /; +-- → (.*)$/gm;
	my $script = $example =~ s/^(.*;) +-- → .*$/$1\n\\echo →/gmr;
	my $status = $node->psql(
		$database, "\\set VERBOSITY sqlstate\n\\pset fieldsep ', '\n$prelude$script",
		connstr => $node->connstr($database) . (defined $role ? " user=$role" =~ s/application/app/r : ''),
		on_error_stop => 0,
		stdout => \$stdout,
		stderr => \$stderr,
		extra_params => [ map { ('-v', "$_=$variables{$_}") } sort keys %variables ]);
	my @errors = $stderr =~ /^psql:<stdin>:\d+: (?!NOTICE|WARNING)(?:ERROR:  )?(.*)$/gm;

	is_deeply([ $status, @errors ], [ 0, @expected ], $name) or diag("$example\n$stderr");
	return unless @promised;

	# The last lines before each arrow, as many as are promised.
	my @returned = split /^→\n?/m, $stdout;
	for my $i (0 .. $#promised)
	{
		my @lines = split /\n/, $returned[$i] // '';
		my $rows = split m{ / }, $promised[$i];

		$returned[$i] = join ' / ', @lines > $rows ? @lines[ -$rows .. -1 ] : @lines;
	}
	is_deeply([ @returned[ 0 .. $#promised ] ], \@promised, "$name returns what it says");
}

for my $file ('README.md', 'docs/reference.md', @guides)
{
	my $database = lc($file =~ s/\W/_/gr);
	my $own_issuer = $issuer_of{$file};
	my %of_file = $own_issuer ? variables($own_issuer) : %variables;
	my $line = 1;
	my $examples = 0;

	create_database($database, !$own_issuer);
	for my $part (split /^(```sql\n.*?^```\n)/ms, $document{$file})
	{
		if ($part =~ /\A```sql\n(.*)^```\n\z/ms)
		{
			$examples++;
			run_example($database, "example at $file:$line", $1, %of_file);
		}
		$line += $part =~ tr/\n//;
	}
	cmp_ok($examples, '>', 0, "$file has examples");
}

$node->stop;
done_testing();
