# The size of the directory: who is this, and may they, with a thousand users and with a million, in two databases. The hot
# path is a token seen before; the other has another user at each statement, from all over the table, signed with HS256, so
# that little but the look-ups is measured.
use strict;
use warnings;

my %PEOPLE = (full => 1_000_000, quick => 100_000);

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
		return $bench->measure_tokens(user => 'bench_tenancy', database => "bench_$name", setting => 'tenancy.session_token',
			tokens => [$tokens->($name, $bench->{tokens}, $round)], statement => $statement);
	};
	my $work = sub {
		my ($name, $title, $measure) = @_;
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
			],
		};
	};
	return $work->('scale_hot', 'current_org() and can_i(), token seen before', $hot),
	  $work->('scale_cold', 'current_org() and can_i(), another user each time', $cold);
};
