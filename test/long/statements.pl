# Statements made at random, as the application sends them: joins, subqueries, CTEs, set operations, windows, laterals, writes, with
# functions that tell what they are given, by every kind of plan. Each gives what it gives where there are no rows but those of the own
# org, shows nothing of another's, and does the same for a value that another org has as for one that nobody has.
#
# That holds whoever the session becomes meanwhile: between PREPARE and EXECUTE, between two FETCHes, and in the midst of a statement, by
# a function of the application's own.
#
# TENANCY_STATEMENTS_SECONDS says for how long (150). TENANCY_STATEMENTS_SEED repeats one round: a failure tells which.
use strict;
use warnings;
use lib 'test/t';

use List::Util 'sum0';
use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $seconds = $ENV{TENANCY_STATEMENTS_SECONDS} // 150;
my ($version) = `postgres --version` =~ / (\d+)/;
my $statements_a_round = 20;

# ---- statements ----

# Whatever rows come from, they have the columns id, n, body and tags. A scope is a list of [ALIAS, KIND]; of KIND "own", n and body are
# as A's tables have them, which some expressions need in order not to fail.
my ($aliases, $depth, $deepest, $uses_plain);

# Of whom own.become() knows, those that see no row of B; and whether statements may call it in their midst.
my @others = qw(vera idle nobody expired garbage lost across);
my $becomes;

sub one { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }
sub alias { return 'x' . ++$aliases }
sub secret { return 'SECRET-B-' . int rand 9 }
sub literal { return chance(0.6) ? secret() : 'a-' . int rand 7 }

# deeper(SIMPLE, CHANCE, MAKE): one of those or, unless it is deep enough, what MAKE makes.
sub deeper
{
	my ($simple, $chance, $make) = @_;

	return one(@$simple) if $depth >= $deepest || !chance($chance);
	$depth++;
	my $made = $make->();
	$depth--;
	return $made;
}

sub number
{
	my ($scope) = @_;
	my ($x, $kind) = @{ one(@$scope) };
	my @simple = ("$x.id", "$x.n", int rand 9, "length($x.body)", "coalesce($x.n, 0)", "cardinality($x.tags)");

	push @simple, "substring($x.body FROM 3)::int", "1 / ($x.n + 1)" if $kind eq 'own';
	return deeper(\@simple, 0.4, sub {
		my $case = int rand 4;
		return '(' . number($scope) . ' + ' . number($scope) . ')' if $case == 0;
		return 'greatest(' . number($scope) . ', ' . number($scope) . ')' if $case == 1;
		return 'CASE WHEN ' . condition($scope) . ' THEN ' . number($scope) . ' ELSE ' . number($scope) . ' END' if $case == 2;
		return '(SELECT ' . one('count(*)::int', 'max(q.n)', 'min(q.id)', 'sum(q.n)::int') . ' FROM (' . query($scope) . ') q)';
	});
}

sub string
{
	my ($scope) = @_;
	my ($x) = @{ one(@$scope) };

	return deeper([ "$x.body", "$x.body", "$x.tags[1]", "own.echo($x.body)", "$x.n::text", "upper($x.body)", "$x.body::own.spy::text" ], 0.4, sub {
		my $case = int rand 4;
		return '(' . string($scope) . ' || ' . string($scope) . ')' if $case == 0;
		return 'coalesce(' . string($scope) . ', ' . string($scope) . ')' if $case == 1;
		return 'CASE WHEN ' . condition($scope) . ' THEN ' . string($scope) . ' ELSE ' . string($scope) . ' END' if $case == 2;
		return '(SELECT ' . one('max(q.body)', 'min(q.body)', 'own.gathered(q.body)') . ' FROM (' . query($scope) . ') q)';
	});
}

sub guess
{
	my ($x, $value) = @_;

	return one("$x.body = '$value'", "$x.body >= '$value' AND $x.body <= '$value'", "'$value' = ANY ($x.tags)", "$x.tags \@> '{$value}'",
		"$x.body IN ('$value', 'q')", "$x.id = " . (20 + int rand 16), "$x.body LIKE '$value%'", "($x.id > 15 AND $x.body = '$value')");
}

# What tells, or fails, if it is called at all, and is called where some value is found.
sub found
{
	my ($x, $kind) = @_;
	my $value = literal();
	my $is = guess($x, $value);
	my $tell = one('own.told()', 'own.told_stable()', '(SELECT own.told())', '(SELECT own.told_stable())');
	my @forms = ("CASE WHEN $is THEN $tell END", "($is AND $tell)", "(NOT ($is) OR $tell)", "($is AND $x.body = $tell\::text)",
		"(CASE WHEN $is THEN ('x' || $tell)::own.spy END IS NULL)", "coalesce(nullif($is, true), $tell)");

	push @forms, "(CASE WHEN $is THEN 1 / (length(current_user) - length(current_user)) END IS NULL)", "ARRAY[CASE WHEN $is THEN '{1,2}'::int[] ELSE '{1}' END, '{1}'] IS NOT NULL"
	  if $kind eq 'own' && $value =~ /SECRET/;
	return one(@forms);
}

# What makes the session somebody else, or itself again.
sub become
{
	my ($x) = @_;
	my $who = one('ann', 'ann', @others);

	return one(map { "own.$_" } "become('$who')", "become_stable('$who')", "become_immutable('$who')", "become_seeing('$who', $x.body)", "begin('$who')") =~ s/.*/chance(0.3) ? "(SELECT $&)" : $&/er;
}

# The same before, after or while some value is looked for.
sub become_and_guess
{
	my ($x) = @_;
	my $is = guess($x, secret());

	return one("(" . become($x) . " AND $is)", "($is AND " . become($x) . ")", "(" . become($x) . " AND $is AND " . become($x) . ")",
		"CASE WHEN $is THEN " . become($x) . " END", "CASE WHEN " . become($x) . " THEN $is END", "($is OR " . become($x) . ")", become($x));
}

sub condition
{
	my ($scope) = @_;
	my ($x, $kind) = @{ one(@$scope) };
	my ($y) = @{ one(@$scope) };
	my $value = literal();
	my @simple = (
		"$x.id " . one(qw(= < > <>)) . ' ' . int rand 20, "$x.body " . one(qw(= < > <= >=)) . " '$value'", "$x.body = $y.body", "$x.id = $y.n", "$x.n IS NULL",
		"own.leak($x.body)", "own.leak_stable($x.body)", "own.leak($x\::text)", "own.inlined($x.body)", "$x.body OPERATOR(own.===) $y.body", "$x.body OPERATOR(own.===) '$value'",
		"$x.body LIKE '" . one("$value%", '%-1', 'SECRET%') . "'", "$x.body ~ '" . one('^S', 'B-\d', '3$') . "'", "$x.tags " . one('&&', '@>', '<@', '=') . " '{$value,t}'",
		"$x.body = ANY ($y.tags)", "$x.tags::own.parcel[] IS NOT NULL", "$x.tags::own.spy[] IS NOT NULL", "$x.body::own.spy <> ''", "($x.id, $x.body) " . one(qw(= < >)) . " ($y.n, '$value')",
		"length($x.body) = " . (3 + int rand 9), "$x.body IS DISTINCT FROM $y.body", "nullif($x.body, '$value') IS NULL", map { found($x, $kind) } 1 .. 4);

	push @simple, "substring($x.body FROM 3)::int > 2", "1 / ($x.n + 1) < 2" if $kind eq 'own';
	push @simple, map { become_and_guess($x) } 1 .. 9 if $becomes;
	return deeper(\@simple, 0.5, sub {
		my $case = int rand 9;
		return '(' . condition($scope) . one(' AND ', ' AND ', ' OR ') . condition($scope) . ')' if $case < 3;
		return 'NOT (' . condition($scope) . ')' if $case == 3;
		return '(' . string($scope) . one(' = ', ' < ', ' OPERATOR(own.===) ') . string($scope) . ')' if $case == 4;
		return '(' . number($scope) . one(' = ', ' < ') . number($scope) . ')' if $case == 5;
		return one('EXISTS', 'NOT EXISTS') . ' (' . query($scope) . ')' if $case == 6;
		return number($scope) . one(' IN', ' NOT IN', ' = ANY', ' < ALL') . ' (SELECT q.id FROM (' . query($scope) . ') q)' if $case == 7;
		return string($scope) . one(' IN', ' = ANY') . ' (SELECT q.body FROM (' . query($scope) . ') q)';
	});
}

# source(OUTER): an item of FROM, and what it adds to the scope. It may refer to OUTER.
sub source
{
	my ($outer) = @_;
	my $x = alias();

	if ($depth < $deepest && chance(0.25))
	{
		$depth++;
		my $lateral = @$outer && chance(0.5);
		my $query = query($lateral ? $outer : []);
		$depth--;
		return (($lateral ? 'LATERAL ' : '') . "($query) $x", [ $x, 'any' ]);
	}
	if (chance(0.12))
	{
		$uses_plain = 1;
		return ("own.plain $x", [ $x, 'any' ]);
	}
	return (one("note $x TABLESAMPLE SYSTEM (100)", map { "$_ $x" } qw(note note item entry event event event_1 shown behind both_kinds rows_of_note() rows_of_entry())), [ $x, 'own' ]);
}

# from(OUTER): a FROM clause, and the scope within.
sub from
{
	my ($outer) = @_;
	my ($from, $first) = source($outer);
	my @scope = ($first);

	while (@scope < 3 && chance(0.45))
	{
		my $full = chance(0.3);
		my ($more, $x) = source($full ? [] : [ @$outer, @scope ]);
		my $join = $full ? one('RIGHT JOIN', 'FULL JOIN') : one('JOIN', 'JOIN', 'LEFT JOIN', 'CROSS JOIN');

		$from .= " $join $more";
		# Of a FULL JOIN, PostgreSQL can merge or hash.
		$from .= $join eq 'FULL JOIN' ? " ON $scope[-1][0].body = $x->[0].body" : " ON " . condition([ @scope, $x ]) if $join ne 'CROSS JOIN';
		push @scope, $x;
	}
	return ($from, [ @$outer, @scope ]);
}

sub from_where
{
	my ($outer) = @_;
	my ($from, $scope) = from($outer);

	return ("FROM $from" . (chance(0.8) ? ' WHERE ' . condition($scope) : ''), $scope);
}

# query(OUTER): a SELECT of id, n, body and tags.
sub query
{
	my ($outer) = @_;
	my $case = $depth < $deepest ? int rand 14 : int rand 9;

	if ($case >= 11)
	{
		$depth++;
		my $query = $case == 11 ? with_query($outer) : $case == 12 ? recursive_query() : 'SELECT q.* FROM ((' . query($outer) . ')' . one(' UNION ', ' UNION ALL ', ' UNION ALL ', ' INTERSECT ', ' EXCEPT ') . '(' . query($outer) . ')) q';
		if ($case == 13 && chance(0.6))
		{
			my $x = alias();
			$query = "SELECT $x.id, $x.n, $x.body, $x.tags FROM ($query) $x WHERE " . condition([ [ $x, 'any' ], @$outer ]);
		}
		$depth--;
		return $query;
	}

	my ($rest, $scope) = from_where($outer);
	my ($x) = @{ $scope->[-1] };
	my $limit = chance(0.2) ? ' ORDER BY 1, 2, 3, 4 LIMIT ' . (1 + int rand 9) : '';
	if ($case == 0)
	{
		my $having = one('', '', " HAVING $x.body <> '" . literal() . "'", ' HAVING count(*) > 1', " HAVING own.leak(max($x.body))", " HAVING " . found($x, 'any') =~ s/\b$x\.(?!body)\w+/max($&)/gr);
		return "SELECT max($x.id) AS id, count(*)::int AS n, $x.body, NULL::text[] AS tags $rest GROUP BY $x.body$having$limit";
	}
	return "SELECT min($x.id) AS id, $x.n, $x.body, max($x.tags) AS tags $rest GROUP BY " . one('GROUPING SETS', 'ROLLUP', 'CUBE') . " (($x.n), ($x.body))$limit" if $case == 1;
	return "SELECT $x.id, (" . one('rank()', 'dense_rank()', 'count(*)', "sum($x.id)") . " OVER (PARTITION BY $x.n ORDER BY $x.body))::int AS n, " . one('max', 'own.gathered') . "($x.body) OVER (PARTITION BY $x.n ORDER BY $x.id) AS body, $x.tags $rest$limit" if $case == 2;
	return one('SELECT', 'SELECT', 'SELECT DISTINCT') . ' ' . number($scope) . ' AS id, ' . number($scope) . ' AS n, ' . string($scope) . " AS body, $x.tags $rest$limit" . ($limit eq '' && chance(0.1) ? ' OFFSET 0' : '');
}

# lookup(): a SELECT of what the application looks for.
sub lookup
{
	my ($table, $x) = (one(qw(note item entry event shown behind both_kinds)), alias());

	return "SELECT $x.id, $x.n, $x.body, $x.tags FROM $table $x WHERE " . guess($x, secret()) . (chance(0.5) ? '' : ' AND ' . condition([ [ $x, 'own' ] ]));
}

sub with_query
{
	my ($outer) = @_;
	my ($c, $x, $y) = map { alias() } 1 .. 3;
	my $scope = [ [ $x, 'any' ], [ $y, 'any' ] ];

	return "WITH $c AS " . one('', 'MATERIALIZED ', 'NOT MATERIALIZED ') . '(' . query($outer) . ") SELECT $x.id, $y.n, " . string($scope) . " AS body, $x.tags FROM $c $x " . one('JOIN', 'LEFT JOIN') . " $c $y ON $x.id = $y.id WHERE " . condition([ @$scope, @$outer ]);
}

sub recursive_query
{
	my ($c, $x, $y) = map { alias() } 1 .. 3;

	return "WITH RECURSIVE $c AS (SELECT id, n, body, tags FROM note WHERE id = 1 UNION SELECT $x.id, $x.n, $x.body, $x.tags FROM " . one('item', 'event', 'note') . " $x JOIN $c $y ON $x.id = $y.id + 1 AND " . condition([ [ $x, 'own' ] ]) . ") SELECT id, n, body, tags FROM $c";
}

# change(): a statement that changes a table, and whether it returns rows. What it writes hangs on the row written alone, so that there is
# one result.
sub change
{
	my $table = one(qw(note item entry event));
	my $x = alias();
	my $own = [ [ $x, 'own' ] ];
	my $source = 'SELECT q.id + ' . one(0, 0, 100) . ' AS id, min(q.n) AS n, min(q.body) AS body, min(q.tags) AS tags FROM (' . query([]) . ') q GROUP BY q.id';
	my $returning = " RETURNING $x.id, $x.n, $x.body, $x.tags";
	my $case = int rand 5;

	if ($case < 2)
	{
		my ($more, $scope) = chance(0.4) ? from([]) : ('', []);
		my $where = ' WHERE ' . condition([ @$own, @$scope ]);

		return ("DELETE FROM $table $x" . ($more && " USING $more") . "$where$returning", 1) if $case == 0;
		return ("UPDATE $table $x SET n = " . number($own) . ', body = ' . string($own) . ($more && " FROM $more") . "$where$returning", 1);
	}
	if ($case < 4)
	{
		my $conflict = one('', ' ON CONFLICT (org_id, id) DO NOTHING', " ON CONFLICT (org_id, id) DO UPDATE SET body = excluded.body || $x.body WHERE " . condition([ [ $x, 'own' ], [ 'excluded', 'any' ] ]));
		return ("INSERT INTO $table AS $x (id, n, body, tags) $source$conflict$returning", 1);
	}
	return ("MERGE INTO $table $x USING ($source) s ON $x.id = s.id AND " . condition([ @$own, [ 's', 'any' ] ]) . ' WHEN MATCHED AND ' . condition([ @$own, [ 's', 'any' ] ])
		  . ' THEN ' . one('DELETE', 'DO NOTHING', "UPDATE SET body = s.body || $x.body") . " WHEN MATCHED THEN UPDATE SET n = $x.n + 1"
		  . ' WHEN NOT MATCHED AND ' . condition([ [ 's', 'any' ] ]) . ' THEN INSERT (id, n, body) VALUES (s.id + 500, s.n, s.body)', 0);
}

# ---- how they are sent ----

my @settings = (
	(map { "enable_$_ = off" } qw(seqscan indexscan indexonlyscan bitmapscan hashjoin mergejoin nestloop sort hashagg material memoize incremental_sort)),
	'debug_parallel_query = on', 'parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0', 'join_collapse_limit = 1',
	'from_collapse_limit = 1', 'geqo_threshold = 2', 'enable_partitionwise_join = on; SET LOCAL enable_partitionwise_aggregate = on', 'cursor_tuple_fraction = 0.01',
	'tenancy.cross_org = on', 'constraint_exclusion = on', 'work_mem = 64');
# As PostgreSQL 15 calls it.
s/^debug_parallel_query/force_parallel_mode/ for $version < 16 ? @settings : ();

# sent(STATEMENT, WHO): a way of sending a SELECT.
sub sent
{
	my ($statement, $who) = @_;

	return one(
		($statement) x 3,
		"SELECT * FROM own.run(\$s\$$statement\$s\$)",
		"COPY ($statement) TO STDOUT",
		begun_by_another("DECLARE c SCROLL CURSOR FOR $statement", $who) . '; FETCH 2 FROM c; FETCH ALL FROM c; MOVE BACKWARD ALL FROM c; FETCH ALL FROM c; CLOSE c',
		do {
			my ($prepare, $execute) = prepared($statement);
			begun_by_another($prepare . (chance(0.5) ? "; SELECT own.run_it('EXPLAIN ' || \$s\$$execute\$s\$)" : ''), $who) . "; $execute; $execute";
		});
}

# prepared(STATEMENT): what prepares it for either kind of plan, and what executes it.
sub prepared
{
	my ($statement) = @_;
	my ($value) = $statement =~ /'(SECRET-B-\d|a-\d)'/;
	my $with = defined $value ? $statement =~ s/'$value'/\$1::text/r : $statement;

	return ('SET LOCAL plan_cache_mode = ' . one('force_generic_plan', 'force_custom_plan') . '; PREPARE p' . (defined $value ? '(text)' : '') . " AS $with",
		'EXECUTE p' . (defined $value ? "('$value')" : ''));
}

# begun_by_another(SQL, WHO): at times, somebody else sends it, whose token is good: one who sees rows of B perhaps.
sub begun_by_another
{
	my ($sql, $who) = @_;

	return chance(0.5) ? $sql : "SELECT own.become('" . one(qw(bert root vera idle nobody across)) . "'); $sql; SELECT own.become('$who')";
}

# sent_by_many(STATEMENT, WRITES): a way of sending it in which the session becomes another one.
sub sent_by_many
{
	my ($statement, $writes) = @_;
	my ($prepare, $execute) = prepared($statement);
	my @who = map { one('ann', @others, @others) } 1 .. 3;
	my @become = map { "SELECT own.become('$_')" } @who;
	my @ways = (
		($statement) x 2,
		begun_by_another($prepare, 'ann') . "; SELECT own.run_it('EXPLAIN ' || \$s\$$execute\$s\$); $become[0]; $execute; $become[1]; $execute",
		begun_by_another($prepare, 'ann') . "; $execute; $become[0]; $execute; SELECT own.become('ann'); $execute",
		"SELECT own.run_it(\$s\$$statement\$s\$), own.become('$who[0]'), own.run_it(\$s\$$statement\$s\$), own.become('ann')");

	push @ways,
	  begun_by_another("DECLARE c CURSOR FOR $statement", 'ann') . '; ' . one('FETCH 1 FROM c', 'MOVE 1 FROM c') . "; $become[0]; FETCH 1 FROM c; SELECT own.become('ann'); FETCH ALL FROM c",
	  "SELECT own.become('ann', false); DECLARE c CURSOR WITH HOLD FOR $statement; " . one('', 'FETCH 1 FROM c; ', "FETCH 1 FROM c; $become[1]; ") . "COMMIT; FETCH 1 FROM c; BEGIN; $become[0]; FETCH ALL FROM c",
	  "SELECT * FROM own.fetched(\$s\$$statement\$s\$, '$who[0]', '$who[1]')",
	  "SELECT own.become('$who[0]'), (SELECT count(*) FROM ($statement) q), own.become('ann'), (SELECT count(*) FROM ($statement) q)",
	  "SELECT (SELECT count(*) FROM note), own.become('$who[0]'), (SELECT max(q.body) FROM ($statement) q), own.become('$who[1]')",
	  "SELECT q.*, own.become('$who[0]') FROM ($statement) q",
	  "SELECT q.* FROM own.become('$who[0]') b, LATERAL (SELECT * FROM ($statement) q WHERE b OFFSET 0) q"
	  if !$writes;
	return one(@ways);
}

sub elsewhere { return $_[0] =~ s/SECRET-B/SECRET-X/gr =~ s/(\.id = )([23]\d)\b/${1}9$2/gr }

sub state { return join '; ', "SELECT 'state', own.b_rows()", map { "SELECT '$_', t.id, t.n, t.body, t.tags FROM $_ t" } qw(note item entry event) }

# work(): a statement with what is to be done about it: [NAME, SCHEMA, WHO, SQL] each.
sub work
{
	($aliases, $depth, $deepest, $uses_plain, $becomes) = (0, 0, one(1, 1, 2, 2, 3), 0, 0);
	my $writes = chance(0.35);
	my ($statement, $returns) = $writes ? change() : (query([]), 1);
	my $who = $writes ? 'ann' : one(('ann') x 8, 'idle', 'nobody');
	my $set = join '', map { 'SET LOCAL ' . one(@settings) . '; ' } 1 .. int rand 4;

	$statement = "WITH w AS ($statement) SELECT x.id, x.n, x.body, x.tags FROM w x WHERE " . condition([ [ 'x', 'any' ] ]) if $writes && $returns && chance(0.3);
	my $sql = $set . ($writes ? "$statement; " . state() : sent($statement, $who));
	my @runs = ([ 'kept', 'kept', $who, $sql ], [ 'alone', $who eq 'ann' ? 'alone' : 'none', $who, $sql ]);

	push @runs, [ 'unknown', 'kept', $who, elsewhere($sql) ] unless $uses_plain;
	push @runs, map { [ "explain $_->[0]", 'kept', $who, $set . "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $_->[1]" ] }
	  [ 'kept', $statement ], [ 'unknown', elsewhere($statement) ]
	  if !$uses_plain && $set !~ /parallel/ && chance(0.3);
	return @runs;
}

# The same, of a statement for which the session becomes another one. Where a function may do that at any place, only the same plan gives
# the same, and of values that nobody has, statistics make another one at times.
sub work_of_many
{
	($aliases, $depth, $deepest, $uses_plain, $becomes) = (0, 0, one(0, 0, 1, 1, 2), 0, chance(0.4));
	my $writes = chance(0.3);
	my $statement = $writes ? (change())[0] : chance(0.3) ? query([]) : lookup();
	my $set = join '', map { 'SET LOCAL ' . one(grep { !/parallel/ } @settings) . '; ' } 1 .. int rand 3;
	my $sql = $set . sent_by_many($statement, $writes) . ($writes ? "; SELECT own.become('ann'); " . state() : '');

	return $uses_plain || elsewhere($sql) eq $sql ? work_of_many() : ([ 'kept', 'kept', 'ann', $sql ], [ 'unknown', 'kept', 'ann', elsewhere($sql) ]);
}

# ---- what comes of it ----

sub normal { return $_[0] =~ s/SECRET-X/SECRET-B/gr =~ s/ (=|<>) 9([23]\d)\b/ $1 $2/gr }

# Whatever there is to see, but for places in what was sent.
sub all_of { return $_[0] =~ s/^psql:\S+ //mgr =~ s/^LINE \d+: .*\n *\^\n//mgr }

# outcome(OUT, ERR): what one run has given.
sub outcome
{
	my ($out, $err) = @_;
	my ($error) = grep { $_ ne '25P02' } $err =~ /^(?:psql:\S+ )?ERROR:  (\w{5}):/mg;

	# Which constraint is the first to fail hangs on the order of rows.
	return { out => $out, rows => normal(join '', sort split /^/, $out), error => ($error // '') =~ s/^23\K.*//r, told => $err =~ /NOTICE:  00000: told/ ? 1 : 0, seen => "$out$err", all => normal(join '', sort split /^/, all_of("$out$err")) };
}

# explained(OUTCOME): what EXPLAIN ANALYZE says, less what the planner itself read, which PostgreSQL 18 adds: that hangs on what was planned before.
sub explained { return normal($_[0]{out} =~ s/^Planning:\n(?: +.*\n)+//mr) }

# nodes(EXPLAINED): those of its plan, without what they counted.
sub nodes { return join "\n", $_[0] =~ /^(.*) \((?:actual .*|never executed)\)$/mg }

# complaint(OUTCOMES, SAME_PLAN, WRITES): what is wrong with the outcomes of a statement, or nothing.
sub complaint
{
	my ($o, $same_plan, $writes) = @_;

	for (values %$o) { return 'it shows a row of another org' if $_->{seen} =~ /deep/ }
	# Who runs out of time, stack or memory in one place need not in another.
	return if grep { $_->{seen} =~ /ERROR:  (57|53|54)/ } values %$o;
	if (!$o->{alone})
	{
		# Where rows are written hangs on what has been before, and so does for which of them a write fails.
		my $what = $writes && $o->{kept}{error} ne '' ? 'error' : 'all';
		return $o->{kept}{$what} ne $o->{unknown}{$what} ? 'there is another outcome for a value that nobody has' : undef;
	}
	return "errors differ: $o->{kept}{error} / $o->{alone}{error}" if $o->{kept}{error} ne $o->{alone}{error};
	return 'rows differ' if $o->{kept}{error} eq '' && $o->{kept}{rows} ne $o->{alone}{rows};
	return unless $o->{unknown};
	return "errors differ for a value that nobody has: $o->{kept}{error} / $o->{unknown}{error}" if $o->{kept}{error} ne $o->{unknown}{error};
	return 'rows differ for a value that nobody has' if $o->{kept}{error} eq '' && $o->{kept}{rows} ne $o->{unknown}{rows};
	# Which of A's rows a function is called for hangs on the plan.
	return 'what it calls differs for a value that nobody has' if $same_plan && $o->{kept}{told} != $o->{unknown}{told};
	return if !$o->{'explain kept'} || $o->{'explain kept'}{error} ne '';
	my ($kept, $unknown) = map { explained($o->{"explain $_"}) } qw(kept unknown);
	# Statistics make another plan at times, which counts otherwise.
	return 'EXPLAIN differs for a value that nobody has' if $kept ne $unknown && ($same_plan || nodes($kept) eq nodes($unknown));
	return;
}

my $node = start_node('statements', "session_preload_libraries = tenancy\nautovacuum = off\nmax_parallel_workers_per_gather = 2\nlog_statement = all\n");
$node->run_log([ 'psql', '-X', '-q', '-o', '/dev/null', '-d', $node->connstr('postgres'), '-f', 'test/long/statements.sql' ]) or die "test/long/statements.sql failed\n";
my $b_rows = $node->safe_psql('postgres', 'SELECT own.b_rows()');
my ($rounds, %errors, %errors_of_many) = (0);

# play(SEED): a round of statements; what is wrong with each.
sub play
{
	my ($seed) = @_;
	my (@work, @wrong);
	my $statistics = $seed % 3 == 0;

	srand $seed;
	$node->safe_psql('postgres', $statistics ? 'ANALYZE' : q{DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace IN ('kept'::regnamespace, 'alone'::regnamespace))});
	my $script = "SET statement_timeout = '300ms';\n\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n";
	push @work, map { [ work() ], $statistics ? () : map { [ work_of_many() ] } 1 .. 3 } 1 .. $statements_a_round;
	for my $i (0 .. $#work)
	{
		for my $run (@{ $work[$i] })
		{
			my ($name, $schema, $who, $sql) = @$run;
			$script .= "\\echo \@\@$i $name\n\\warn \@\@$i $name\nCLOSE ALL; DEALLOCATE ALL; SELECT own.become('nobody', false); BEGIN; SELECT own.become('$who'); SET LOCAL search_path = $schema, pg_catalog; $sql;\nROLLBACK;\n";
		}
	}
	$script .= "\\echo \@\@end\n\\warn \@\@end\n";
	# By way of files: IPC::Run would take longer for all of that than the server.
	my ($file, $out, $err) = map { "$ENV{TESTDATADIR}/$_" } qw(script out err);
	append_to_file($file, $script);
	system qq{psql -X -q -A -t -d "} . $node->connstr('postgres') . qq{" -U regress_tenancy_app -f $file >$out 2>$err};
	($out, $err) = map { slurp_file($_) } $out, $err;
	unlink $file;
	push @wrong, "the connection was lost in round $seed: " . substr($err, -300) unless $out =~ /^\@\@end$/m;

	my %runs;
	for ([ out => $out ], [ err => $err ])
	{
		my ($stream, $text) = @$_;
		for (split /^\@\@(?=\d)/m, $text)
		{
			my ($i, $name, $rest) = /\A(\d+) ([\w ]+)\n(.*)\z/s or next;
			$runs{$i}{$name}{$stream} = $rest =~ s/^\@\@end.*//msr;
		}
	}
	for my $i (sort { $a <=> $b } keys %runs)
	{
		my %outcomes = map { $_ => outcome($runs{$i}{$_}{out} // '', $runs{$i}{$_}{err} // '') } keys %{ $runs{$i} };
		my $complaint = complaint(\%outcomes, !$statistics, $work[$i][0][3] =~ /'state'/);

		my $errors = $outcomes{alone} ? \%errors : \%errors_of_many;
		$errors->{ $outcomes{kept}{error} || 'none' }++;
		next unless defined $complaint;
		push @wrong, join "\n", "round $seed, statement $i: $complaint", (map { "$_->[0] ($_->[2]): $_->[3]" } @{ $work[$i] }), map { "--- $_:\n" . substr $outcomes{$_}{seen}, 0, 4000 } sort keys %outcomes;
	}
	push @wrong, "round $seed changes rows of another org" if $node->safe_psql('postgres', 'SELECT own.b_rows()') ne $b_rows;
	return @wrong;
}

sub counted { my ($n) = @_; return join ', ', map { "$_: $n->{$_}" } sort keys %$n }

my $seed = $ENV{TENANCY_STATEMENTS_SEED};
my $end = time + $seconds;
my @wrong;
do
{
	push @wrong, play($seed // int rand 2**31);
	$rounds++;
} while (!defined $seed && time < $end && @wrong < 5);

is(scalar @wrong, 0, 'statements give what they give without the rows of others') or diag join "\n\n", @wrong;
note "in $rounds rounds, by their errors: ", counted(\%errors), '; where the session becomes another one: ', counted(\%errors_of_many);
# Most of what is made must run.
cmp_ok($errors{none} // 0, '>', sum0(values %errors) / 2, 'most of them do not fail');
cmp_ok($errors_of_many{none} // 0, '>=', sum0(values %errors_of_many) / 5, 'nor do many where the session becomes another one');
is(join(' ', grep { /^42(?!501)/ } keys %errors, keys %errors_of_many), '', 'and none is wrong in itself');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC:|TRAP: /, 'and the server does not crash');
done_testing();
