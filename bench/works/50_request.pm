# A request as an application behind a pool sends it: who this is, one point select, and the end, in one message. The token
# is one that this connection has seen before. The floor sets a plain setting of the same length.
use strict;
use warnings;

sub {
	my ($bench) = @_;
	my $first = $bench->{slots} / 2 + 7;    # a row of org 10: see data/contact.sql
	my $token = $bench->token('person-10');
	my $sign_in = 'SELECT 1';
	my $request = sub {
		my ($identity) = @_;
		return "BEGIN;\n$identity;\nSELECT name, email FROM contact WHERE id = :id[[ AND org_id = :org]];\nCOMMIT";
	};
	my ($org, $person) = ($bench->org(10), $bench->person(10));
	my %floor = (user => 'bench_floor', names_org => 1, sign_in => $sign_in);
	my %ours = (user => 'bench_tenancy', sign_in => $sign_in);
	my %peer = (user => 'bench_supabase_claim', sign_in => $sign_in, peer => 1);
	my $claims = qq({"sub": "$person", "role": "authenticated", "app_metadata": {"org_id": "$org"}});
	return {
		name => 'request',
		title => 'request: BEGIN, identity, point select, COMMIT',
		goal => 1.03,
		data => 'contact',
		org => 10,
		pipelined => 1,
		statement => 'BEGIN',
		draw => "\\set id $first + $bench->{slots} * random(0, 4999)",
		sample => {id => $first},
		variants => [
			{%floor, name => 'floor', title => 'floor: SET LOCAL of a plain setting', statement => $request->("SET LOCAL app.token = '$token'")},
			{%ours, name => 'tenancy', title => 'tenancy: SET LOCAL tenancy.session_token', statement => $request->("SET LOCAL tenancy.session_token = '$token'")},
			{%floor, name => 'floor_parameter', title => 'floor: set_config($1)', vars => {token => $token},
				statement => $request->("SELECT FROM set_config('app.token', :token, true)")},
			{%ours, name => 'begin_session', title => 'tenancy: begin_session($1)', vars => {token => $token}, base => 'floor_parameter', judged => 1,
				statement => $request->('SELECT FROM tenancy.begin_session(:token)')},
			{%peer, name => 'postgrest', title => 'PostgREST: SET LOCAL of the claims', statement => $request->("SET LOCAL request.jwt.claims = '$claims'")},
			{%peer, name => 'postgrest_parameter', title => 'PostgREST: set_config($1)', vars => {token => $claims}, base => 'floor_parameter',
				statement => $request->("SELECT FROM set_config('request.jwt.claims', :token, true)")},
		],
	};
};
