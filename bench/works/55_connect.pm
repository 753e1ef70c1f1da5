# A fresh connection: connect, say who this is, one point select, disconnect. Two servers of their own, equal but for
# shared_preload_libraries: what is loaded there, every connection inherits.
use strict;
use warnings;

my %PORT = (plain => 5433, shared => 5434);
my %CONNECTIONS = (full => 200, quick => 40);

sub {
	my ($bench) = @_;
	my $token = $bench->token('person-10');

	my $start = sub {
		my ($server, @settings) = @_;
		my $dir = "$bench->{work}/$server";
		open my $conf, '>>', "$dir/postgresql.conf" or die "$!\n";
		print $conf map { "$_\n" } "port = $PORT{$server}", @settings;
		close $conf or die "$!\n";
		$bench->run_program('pg_ctl', '-D', $dir, '-l', "$dir.log", '-w', '-s', 'start');
	};
	my $prepare = sub {
		$bench->say_progress('two servers for connections');
		$bench->run_program('initdb', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-locale', '-N', '-D', "$bench->{work}/plain");
		$start->('plain', "listen_addresses = ''", "unix_socket_directories = '$ENV{PGHOST}'", 'fsync = off', 'jit = off', 'autovacuum = off');
		{
			local $ENV{PGPORT} = $PORT{plain};
			$bench->run_program('createdb', 'bench');
			$bench->sql("\\i data/connect.sql\n", vars => {jwks => $bench->new_key('ES256')});
		}
		$bench->run_program('pg_ctl', '-D', "$bench->{work}/plain", '-w', '-s', 'stop');
		$bench->run_program('cp', '-R', "$bench->{work}/plain", "$bench->{work}/shared");
		$start->('plain');
		$start->('shared', "shared_preload_libraries = 'tenancy'");
	};
	my $run = sub {
		my ($server, $user, $setting, $select) = @_;
		local $ENV{PGPORT} = $PORT{$server};
		my @seconds = $bench->pgbench_connections(user => $user, transactions => $CONNECTIONS{$bench->{size}},
			vars => {org => $bench->org(10)}, script => "\\set id random(1, 5000)\nSET $setting = '$token';\n$select;\n");
		return Bench::undisturbed(@seconds);
	};
	my @ours = ('tenancy.session_token', 'SELECT name, email FROM contact WHERE id = :id');
	my @floor = ('app.token', "$ours[1] AND org_id = :org");
	return {
		name => 'connect',
		title => 'what a first verified query (ES256) adds to connect, select, disconnect',
		goal => 0.2,
		unit => 'of a connect',
		compare => sub { $_[0] / $_[1] - 1 },
		prepare => $prepare,
		variants => [
			{name => 'floor', title => 'floor: without tenancy', run => sub { $run->('plain', 'bench_floor', @floor) }},
			{name => 'tenancy', title => 'tenancy in shared_preload_libraries', run => sub { $run->('shared', 'bench_tenancy', @ours) }},
			{name => 'session', title => 'tenancy in session_preload_libraries', run => sub { $run->('plain', 'bench_tenancy', @ours) }},
			{name => 'first_use', title => 'tenancy loaded by its first use', run => sub { $run->('plain', 'bench_first_use', @ours) }},
			{name => 'idle', title => 'without tenancy, which is preloaded all the same', run => sub { $run->('shared', 'bench_floor', @floor) }},
		],
	};
};
