# A server of a test's own, with what test/sql/setup.sql makes in its database postgres, and the application's view of it.
package TenancyTest;

use strict;
use warnings;
use Exporter 'import';

use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw(start_node mint as_app app_session ask app_conninfo);

my $app = 'regress_tenancy_app';

# start_node(NAME, CONFIGURATION, INITDB'S OPTIONS): a running server.
sub start_node
{
	my ($name, $conf, @initdb) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--no-locale', '-E', 'UTF8', @initdb ]);
	$node->append_conf('postgresql.conf', $conf // '');
	$node->start;
	$node->run_log([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', 'test/sql/setup.sql' ])
	  or die "test/sql/setup.sql failed\n";
	return $node;
}

# mint(NODE, CLAIMS): a token of Clerk's, with claims given as JSON.
sub mint
{
	my ($node, $claims) = @_;
	return $node->safe_psql('postgres', "SELECT minting.token('clerk', '$claims')", extra_params => ['-q']);
}

sub app_conninfo
{
	my ($node) = @_;
	return $node->connstr('postgres') . " user=$app";
}

# as_app(NODE, SQL): what the application gets in a connection of its own: output and errors.
sub as_app
{
	my ($node, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $app ], on_error_stop => 0);
	return ($out, $err);
}

# app_session(NODE): a connection of the application's that stays, for ask().
sub app_session
{
	my ($node) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', $app ]);

	ask($session, '\set VERBOSITY sqlstate');
	return $session;
}

# ask(SESSION, SQL): output and errors as one text.
sub ask
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	my $out = $session->query($sql);
	return join "\n", grep { $_ ne '' } $out, map { s/^psql:<stdin>:\d+: //gmr =~ s/\s+\z//r } $session->{stderr};
}

1;
