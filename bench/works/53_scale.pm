# The size of the directory: who is this, and may they, with a thousand users and with a million, in two databases. The hot
# path is a token seen before; the other has another user at each statement, from all over the table, signed with HS256, so
# that little but the look-ups is measured. What a larger table costs whoever looks into it, the same look-ups in SQL show.
use strict;
use warnings;

my %PEOPLE = (full => 1_000_000, quick => 20_000);

sub {
	my ($bench) = @_;
	my %size = (small => {users => 1000, orgs => 100}, large => {users => $PEOPLE{$bench->{size}}, orgs => $PEOPLE{$bench->{size}} / 10});
	my $statement = "SELECT tenancy.current_org(), tenancy.can_i('read', 'contact')";

	my $load = sub {
		for my $name (sort keys %size)
		{
			next if $size{$name}{loaded}++;
			$bench->say_progress("data: $size{$name}{users} users");
			$bench->run_program('createdb', "bench_$name");
			$bench->sql("\\i data/directory.sql\n", database => "bench_$name", vars => {jwks => $bench->new_key('HS256'), %{$size{$name}}{'users', 'orgs'}});
		}
	};

	# What a token's subject may, as one prepared statement.
	my $sql = <<'SQL' =~ s/\s+/ /gr;
SELECT m.org_id, EXISTS (SELECT FROM tenancy.membership_roles r JOIN tenancy.role_permissions p ON p.role_id = r.role_id
	WHERE r.user_id = m.user_id AND r.org_id = m.org_id AND p.resource_type = 'contact' AND p.action = 'read')
FROM tenancy.identities i JOIN tenancy.users u ON u.id = i.user_id JOIN tenancy.org_external_ids e ON e.issuer_id = i.issuer_id
JOIN tenancy.organizations o ON o.id = e.org_id JOIN tenancy.memberships m ON m.user_id = u.id AND m.org_id = o.id
WHERE i.issuer_id = '%issuer%' AND i.subject = 'person-' || :person AND e.external_id = 'org-' || (1 + :person % %orgs%)
SQL

	# Of $count people who are as far from each other as can be; others for each $turn.
	my $tokens = sub {
		my ($name, $count, $turn) = @_;
		my ($users, $orgs) = @{$size{$name}}{'users', 'orgs'};
		my @people = map { 1 + int(($_ + $turn / $bench->{rounds}) * $users / $count) % $users } 0 .. $count - 1;
		my @claims = map { {sub => "person-$_", o => {id => 'org-' . (1 + $_ % $orgs)}} } @people;
		return $bench->tokens('HS256', @claims);
	};

	my $hot = sub {
		my ($name) = @_;
		my ($token) = $tokens->($name, 1, 0);
		my $message = join '', "\\startpipeline\n", ("$statement;\n") x 50, "\\endpipeline\n";
		my @latencies = $bench->pgbench(user => 'bench_tenancy', database => "bench_$name", transactions => 200,
			script => "\\if :first\nSET tenancy.session_token = '$token';\n\\set first 0\n\\endif\n$message");
		splice @latencies, 0, 8;
		return Bench::undisturbed(@latencies) / 50;
	};
	my $cold = sub {
		my ($name, $round) = @_;
		return $bench->measure_tokens(50, user => 'bench_tenancy', database => "bench_$name", setting => 'tenancy.session_token',
			tokens => [$tokens->($name, 4 * $bench->{tokens}, $round)], statement => $statement);
	};
	my $by_sql = sub {
		my ($name, $round) = @_;
		my $issuer = $bench->sql('SELECT id FROM tenancy.issuers', database => "bench_$name");
		my $one = $sql =~ s/%issuer%/$issuer/r =~ s/%orgs%/$size{$name}{orgs}/r;
		my $message = join '', "\\startpipeline\n", ("\\set person random(1, $size{$name}{users})\n$one;\n") x 50, "\\endpipeline\n";
		my @latencies = $bench->pgbench(user => 'postgres', database => "bench_$name", transactions => $bench->{tokens} / 5, seed => $round + 1, script => $message);
		splice @latencies, 0, 8;
		return Bench::undisturbed(@latencies) / 50;
	};
	my $work = sub {
		my ($name, $title, $measure, @peers) = @_;
		return {
			name => $name,
			title => $title,
			goal => 1.1,
			prepare => $load,
			forms => [50],
			variants => [
				{name => 'small', title => '1,000 users', run => sub { $measure->('small', @_) }},
				{name => 'large', title => ($size{large}{users} =~ s/000$/,000/r =~ s/(?<=\d)(\d{3}),/,$1,/r) . ' users', judged => 1,
					run => sub { $measure->('large', @_) }},
				@peers,
			],
		};
	};
	return $work->('scale_hot', 'current_org() and can_i(), token seen before', $hot),
	  $work->('scale_cold', 'current_org() and can_i(), another user each time', $cold,
	  {name => 'sql_small', title => 'look-ups in SQL, small', peer => 1, run => sub { $by_sql->('small', @_) }},
	  {name => 'sql_large', title => 'look-ups in SQL, large', peer => 1, base => 'sql_small', run => sub { $by_sql->('large', @_) }});
};
