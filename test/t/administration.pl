# What administration tells beside its results: a refused call is in the server log with the user's id and no token; a purge
# tells its progress, in an order that foreign keys allow; and warnings name whom they are about.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $node = start_node('administration', "session_preload_libraries = tenancy\nlog_min_messages = warning\nlog_statement = all\ntenancy.superadmin_emails = 'root\@admin.test'\n");
$node->safe_psql('postgres', q{
	SELECT minting.enrol('root', 'home', 'admin'), minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'acme', 'viewer');
	INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
	UPDATE tenancy.users SET email = 'root@admin.test' WHERE name = 'root';
	CREATE TABLE customer (id int PRIMARY KEY);
	CREATE TABLE bill (customer_id int REFERENCES customer);
	SELECT tenancy.protect('customer'), tenancy.protect('bill');
	INSERT INTO customer SELECT 1, id FROM tenancy.organizations WHERE slug = 'acme';
	INSERT INTO bill SELECT 1, id FROM tenancy.organizations, generate_series(1, 3) WHERE slug = 'acme';
});
my %token = map { $_ => mint($node, qq({"sub": "$_"})) } qw(root alice bob unknown);
my %user = map { $_ => $node->safe_psql('postgres', "SELECT minting.user_id('$_')") } qw(root alice bob);
my $org = $node->safe_psql('postgres', "SELECT id FROM tenancy.organizations WHERE slug = 'acme'");

# logged(SUBJECT, SQL): what the server log says of a call, and the caller's errors and notices.
sub logged
{
	my ($subject, $sql) = @_;
	my $from = -s $node->logfile;
	my (undef, $err) = as_app($node, ($subject eq '' ? '' : "SET tenancy.session_token = '$token{$subject}';\n") . $sql);
	my $log = substr slurp_file($node->logfile), $from;

	unlike("$log$err", qr/eyJ/, "$sql by $subject: no token");
	return ([ $log =~ /LOG:  tenancy: (.*)\n.*DETAIL:  (.*)\n/g ], $err);
}

sub refused
{
	my ($subject, $call, $purpose, $detail) = @_;
	my ($lines, $err) = logged($subject, "SELECT tenancy.$call");

	is_deeply($lines, [ "permission denied to $purpose", $detail ], "$call by " . ($subject || 'nobody'));
	unlike($err, qr/LOG:/, 'the caller is not told');
}

my $of_acme = "org $org, status active, database role regress_tenancy_app.";
my $nobody = 'User none, org none, status %s, database role regress_tenancy_app.';

# assert_administrator() …
refused('alice', "suspend_org('acme', 'x')", 'suspend an org', "User $user{alice}, $of_acme");
refused('bob', "purge_org('acme')", 'purge an org', "User $user{bob}, $of_acme");
refused('unknown', "add_superadmin('$user{bob}')", 'add a superadmin', sprintf $nobody, 'unprovisioned');
refused('', "disable_user('$user{bob}')", 'disable a user', sprintf $nobody, 'anonymous');
# … authorize() …
refused('bob', "set_member_roles('$user{bob}', '{admin}')", 'change the roles of a member', "User $user{bob}, $of_acme");
# … and the one of their own.
refused('alice', "sync_org('https://clerk.test', 'x', 'X')", 'sync with a provider', "User $user{alice}, $of_acme");
is_deeply((logged('root', "SELECT tenancy.suspend_org('acme', 'x'); SELECT tenancy.resume_org('acme')"))[0], [], 'not what is permitted');

like((logged('root', "SELECT tenancy.remove_superadmin('$user{root}')"))[1], qr/WARNING:  user "$user{root}" becomes a superadmin again at the next sign-in/, 'a superadmin by the setting');
unlike((logged('', 'SELECT 1'))[1], qr/WARNING/, 'and no other');

$node->safe_psql('postgres', "SELECT tenancy.archive_org('acme')");
my ($status, $out, $err) = $node->psql('postgres', "SELECT * FROM tenancy.purge_org('acme')");
is_deeply([ $err =~ /NOTICE:  (.*)/g ], [ 'purging public.bill: 3 rows deleted (1 of 2)', 'purging public.customer: 1 rows deleted (2 of 2)' ], 'a purge tells its progress');
is($out, "public.bill|3\npublic.customer|1", 'and what it deleted');

$node->stop;
done_testing();
