# A token that this connection has not seen, or not for long: SET, and a question that needs the user and the org, so that
# the signature is verified and the user, org, membership and roles are looked up; ten times in a message. Or the next token
# of the same user, for which nothing is looked up as long as nothing changes. What the same costs with a plain setting is
# taken off. Beside it, the signature alone: by OpenSSL, and by libjwt as the extension uses it.
use strict;
use warnings;

my %TITLE = (RS256 => 'RS256, RSA with 2048 bits', ES256 => 'ES256', EdDSA => 'EdDSA, Ed25519', HS256 => 'HS256');

sub {
	my ($bench) = @_;

	# An issuer of its own, whose subjects are the people of data/base.sql.
	my $trust = sub {
		my ($algorithm) = @_;
		my $issuer = "https://$algorithm.bench.test";
		$bench->sql(<<'SQL', vars => {issuer => $issuer, jwks => $bench->new_key($algorithm)});
SELECT tenancy.trust_issuer(:'issuer', :'jwks') \g /dev/null
INSERT INTO tenancy.identities (issuer_id, subject, user_id)
SELECT i.id, 'person-' || n, bench.person(n) FROM tenancy.issuers i, generate_series(1, 1000) n WHERE i.issuer = :'issuer';
ANALYZE tenancy.identities;
SQL
		return $issuer;
	};
	my $work = sub {
		my ($algorithm) = @_;
		my ($file, @tokens, @renewed);
		my $alone = sub {
			my ($how) = @_;
			return $bench->run_program('./verify', $how, $bench->{keys}{$algorithm}, $algorithm, $file) / 1e9;
		};
		my $in_server = sub {
			my (@tokens) = @_;
			my $plain = $bench->measure_tokens(10, user => 'bench_floor', tokens => \@tokens, setting => 'app.token', statement => 'SELECT null::uuid');
			my $ours = $bench->measure_tokens(10, user => 'bench_tenancy', tokens => \@tokens, setting => 'tenancy.session_token',
				statement => 'SELECT tenancy.current_org()');
			return $ours - $plain;
		};
		return {
			name => "verify_" . lc $algorithm,
			title => "token never seen, $TITLE{$algorithm}",
			goal => 10,
			unit => 'us',
			compare => sub { ($_[0] - $_[1]) * 1e6 },
			forms => [1],
			prepare => sub {
				my $issuer = $trust->($algorithm);
				@tokens = $bench->tokens($algorithm, map { {iss => $issuer, sub => "person-$_", jti => "token-$_"} } 1 .. $bench->{tokens});
				@renewed = $bench->tokens($algorithm, map { {iss => $issuer, sub => "person-1", jti => "token-$_"} } 1 .. $bench->{tokens});
				$file = $bench->write("$bench->{work}/tokens.$algorithm", join '', map { "$_\n" } @tokens);
			},
			variants => [
				{name => 'raw', title => 'OpenSSL alone', run => sub { $alone->('raw') }},
				{name => 'libjwt', title => 'libjwt alone, over OpenSSL', run => sub { $alone->('libjwt') }},
				{name => 'tenancy', title => 'tenancy with all look-ups, over libjwt', base => 'libjwt', run => sub { $in_server->(@tokens) }},
				{name => 'renewed', title => 'tenancy, the next token of the same user, over libjwt', base => 'libjwt', run => sub { $in_server->(@renewed) }},
			],
		};
	};
	return map { $work->($_) } qw(RS256 ES256 EdDSA HS256);
};
