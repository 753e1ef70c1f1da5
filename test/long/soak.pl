# A hundred clients share a few connections through PgBouncer, each statement under another identity, while roles, memberships,
# orgs, users and keys change all the time: whoever reads, reads the rows of their org alone, and no user is lost or made twice.
# Every row carries its org, and which org a person belongs to is known by construction, not from the extension.
#
# TENANCY_SOAK_SECONDS shortens it: how long it runs in transaction mode (600); in session and statement mode it is a tenth each.
use strict;
use warnings;
use lib 'test/t';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $seconds = $ENV{TENANCY_SOAK_SECONDS} // 600;
my $newcomers = 100 + 5 * $seconds;
# Debian keeps it where only root looks.
local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";

# Fewer tokens are remembered than there are people.
my $node = start_node('soak', "shared_preload_libraries = 'tenancy'\ntenancy.session_cache_size = 16\nmax_connections = 100\nsynchronous_commit = off\nlog_min_messages = warning\nlog_statement = none\n");
$node->run_log([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'orgs=24', '-v', "newcomers=$newcomers", '-d', $node->connstr('postgres'), '-f', 'test/long/soak.sql' ])
  or die "test/long/soak.sql failed\n";

# ---- PgBouncer ----

my $pooler_port = PostgreSQL::Test::Cluster::get_free_port();
my $pooler;

sub start_pooler
{
	my ($mode) = @_;
	my $dir = $node->basedir;

	PostgreSQL::Test::Utils::append_to_file("$dir/$mode.users", qq("regress_tenancy_app" ""\n"regress_tenancy_pooled" ""\n));
	PostgreSQL::Test::Utils::append_to_file("$dir/$mode.ini", <<"EOI");
[databases]
postgres = host=@{[$node->host]} port=@{[$node->port]}
[pgbouncer]
unix_socket_dir = @{[$node->host]}
listen_port = $pooler_port
auth_type = trust
auth_file = $dir/$mode.users
pool_mode = $mode
default_pool_size = 12
max_client_conn = 200
log_connections = 0
log_disconnections = 0
EOI
	$pooler = IPC::Run::start([ 'pgbouncer', "$dir/$mode.ini" ], '<', \undef, '>', "$dir/$mode.log", '2>&1');
	poll(sub { run_log([ 'psql', '-X', '-q', '-U', 'regress_tenancy_app', '-d', pooled(), '-c', '' ]) }) or die "PgBouncer did not start: see $dir/$mode.log\n";
}

sub stop_pooler { $pooler->signal('TERM'); $pooler->finish; undef $pooler }
END { $pooler->kill_kill if $pooler }
sub pooled { return "host=@{[$node->host]} port=$pooler_port dbname=postgres" }

sub poll
{
	my ($condition) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $end)
	{
		return 1 if $condition->();
		select undef, undef, undef, 0.1;
	}
	return 0;
}

# ---- what the clients do ----

my $count = 'count(*), count(*) FILTER (WHERE org_id <> %s OR tag <> :p_org) FROM soak.item';
my $by_text = sprintf $count, "':p_org_id'";
my $by_parameter = sprintf $count, ':p_org_id';
# No condition of the reader's own can find others' rows either.
my $foreign = "WHERE org_id <> ':p_org_id'";

# A person whose reading is no error, whatever happens to them, and one of whom that is not so.
sub somebody { return "SELECT token, slug, org, org_id FROM soak.people WHERE kind IN ('steady', 'both') ORDER BY random() LIMIT 1 \\gset $_[0]_\n" }
my $anybody = q{(SELECT p FROM soak.people p WHERE kind <> 'root' ORDER BY random() LIMIT 1)};
my $nobody = "INSERT INTO soak.tally SELECT 'nobody', 0, count(*) FROM soak.item;\n";

my %work = (
	set_local => somebody('p') . qq{BEGIN;
SET LOCAL tenancy.session_token = ':p_token';
SET LOCAL tenancy.org = ':p_slug';
INSERT INTO soak.tally SELECT 'SET LOCAL', $by_text;
INSERT INTO soak.tally SELECT 'others, by a condition', 0, count(*) FROM soak.item $foreign;
COMMIT;
$nobody},
	begin_session => somebody('p') . qq{BEGIN;
SELECT status FROM tenancy.begin_session(:p_token, :p_slug);
INSERT INTO soak.tally SELECT 'begin_session', $by_parameter;
INSERT INTO soak.tally SELECT 'begin_session', $by_parameter WHERE id > 0;
COMMIT;
$nobody},
	# Two people in a transaction, and back to the first; then nobody.
	switches => somebody('a') . somebody('b') . sprintf(q{BEGIN;
SELECT FROM tenancy.begin_session(':a_token', ':a_slug');
INSERT INTO soak.tally SELECT 'switches', %1$s;
SAVEPOINT s;
SET LOCAL tenancy.session_token = ':b_token';
SET LOCAL tenancy.org = ':b_slug';
INSERT INTO soak.tally SELECT 'switches', %2$s;
ROLLBACK TO s;
INSERT INTO soak.tally SELECT 'switches', %1$s;
SELECT FROM tenancy.begin_session(':b_token', ':b_slug');
INSERT INTO soak.tally SELECT 'switches', %2$s;
SET LOCAL tenancy.session_token = '';
INSERT INTO soak.tally SELECT 'nobody', 0, count(*) FROM soak.item;
ROLLBACK;
}, map { $by_text =~ s/:p_/:$_\_/gr } 'a', 'b') =~ s/ROLLBACK;/COMMIT;/r,
	read => "SELECT soak.read(p) FROM (SELECT $anybody) x (p);\n",
	write => "SELECT soak.write(p) FROM (SELECT $anybody) x (p);\n",
	disturb => "SELECT soak.disturb();\n",
	mend => "SELECT soak.mend();\n",
	arrive => "SELECT soak.arrive();\n",
	# Of whom a token holds for its transaction alone, however it is set.
	plain_set => somebody('p') . qq{BEGIN;
SET tenancy.session_token = ':p_token';
SET tenancy.org = ':p_slug';
INSERT INTO soak.tally SELECT 'SET', $by_text;
COMMIT;
$nobody},
	stray_set => somebody('p') . "SET tenancy.session_token = ':p_token';\n$nobody",
	# A client's own connection, as it seems to it.
	session => $nobody . somebody('p') . qq{SET tenancy.session_token = ':p_token';
SET tenancy.org = ':p_slug';
INSERT INTO soak.tally SELECT 'session', $by_text;
INSERT INTO soak.tally SELECT 'session', $by_text WHERE id > 0;
},
	# One message, which is one transaction.
	statement => somebody('p') . qq{SET LOCAL tenancy.session_token = ':p_token' \\; SET LOCAL tenancy.org = ':p_slug' \\; INSERT INTO soak.tally SELECT 'statement', $by_text;
$nobody});

for my $name (keys %work)
{
	append_to_file($node->basedir . "/$name.pgbench", $work{$name});
}

# load(TITLE, DURATION, [ROLE, CLIENTS, OPTIONS, WORK@WEIGHT...]...): runs them side by side.
sub load
{
	my ($title, $duration, @groups) = @_;
	my @runs;

	for my $group (@groups)
	{
		my ($role, $clients, $options, @works) = @$group;
		my $run = { title => "$title: $clients clients as $role, @works", out => '', err => '' };
		$run->{harness} = IPC::Run::start(
			[ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', $duration, '-U', $role, '-h', $node->host, '-p', $pooler_port, @$options,
				(map { my ($name, $weight) = split /@/; ('-f', $node->basedir . "/$name.pgbench" . ($weight ? "\@$weight" : '')) } @works), 'postgres' ],
			'<', \undef, '>', \$run->{out}, '2>', \$run->{err});
		push @runs, $run;
	}
	for my $run (@runs)
	{
		ok(IPC::Run::finish($run->{harness}), $run->{title}) or diag substr $run->{err}, 0, 2000;
		note $run->{out} =~ /(number of transactions actually processed.*)/;
	}
}

sub changes { return [ $_[0], $_[1], [ '-R', 150 ], 'disturb@4', 'mend@8', 'arrive@3' ] }

start_pooler('transaction');
load('transaction mode', $seconds,
	[ 'regress_tenancy_app', 30, [], 'set_local@4', 'switches@2', 'read@3', 'write@1' ],
	[ 'regress_tenancy_app', 25, [ '-M', 'extended' ], 'begin_session' ],
	[ 'regress_tenancy_pooled', 30, [], 'plain_set@3', 'stray_set@2', 'set_local@1', 'read@1' ],
	changes('regress_tenancy_app', 15));
stop_pooler();
start_pooler('session');
# Who stays keeps a connection; who reads connects anew each time, to one that another has left.
load('session mode', 1 + $seconds / 10, [ 'regress_tenancy_app', 90, ['-C'], 'session' ], changes('regress_tenancy_pooled', 10));
stop_pooler();
start_pooler('statement');
load('statement mode', 1 + $seconds / 10,
	[ 'regress_tenancy_app', 55, [], 'statement@3', 'read@1' ],
	[ 'regress_tenancy_pooled', 30, [], 'stray_set' ],
	changes('regress_tenancy_app', 15));
stop_pooler();

# ---- what they read ----

sub rows { return split /\n/, $node->safe_psql('postgres', $_[0]) }

note 'rows read, and of other orgs: ', $_ for rows('SELECT kind, count(*), sum(rows), sum(mismatches) FROM soak.tally GROUP BY kind ORDER BY kind');
is($node->safe_psql('postgres', "SELECT string_agg(kind || ' ' || n, ', ' ORDER BY kind) FROM (SELECT kind, sum(mismatches) FROM soak.tally GROUP BY kind HAVING sum(mismatches) > 0) m (kind, n)"),
	'', 'no row of another org was read or written, and none by nobody');
# What read nothing would show nothing.
cmp_ok($node->safe_psql('postgres', 'SELECT sum(rows) FROM soak.tally'), '>', 5000 * $seconds, 'many rows were read');
is($node->safe_psql('postgres', q{SELECT string_agg(kind, ', ') FROM (SELECT kind FROM soak.tally WHERE kind !~ '^(nobody|others)' GROUP BY kind HAVING count(*) FILTER (WHERE rows > 0) < count(*) / 10) k}),
	'', 'in every way that there is');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT org_id, tag FROM soak.item UNION ALL SELECT org_id, tag FROM soak.note) r WHERE org_id <> soak.org_id(tag)'),
	'0', 'every row is where it was written');

# ---- what was refused ----

# What may happen to whoever was removed, disabled, suspended or signed out a moment ago, or had to wait for somebody else.
my %legitimate = (
	# 55000: while the statement ran.
	read => '28T06 28T07 55000',
	write => '28T06 28T07 42501 55000 TN002 TN003 TN005',
	trespass => '28T06 28T07 42501 55000 TN002 TN003 TN005 P0002',
	set_member_roles => '42704 TN003 42501',
	remove_member => '42704 TN003',
	leave_org => '28T06 28T07 42501 TN002 TN003 TN005',
	switch_org => '28T06 28T07 42501 TN003 TN005',
	'own role' => '42704 42710 55006 TN003',
	invite => '23505 TN003',
	revoke_invitation => '42704 TN003',
	'invite again' => '23505 TN003',
	accept_invitation => '28T06 28T07 42501 TN007',
	map { $_ => '' } qw(suspend_org disable_user import_jwks revoke_tokens grant revoke rename_org enable_user resume_org provision_user));
my @unexpected;

for (rows("SELECT kind, code, count(*), min(message) FROM soak.outcomes GROUP BY kind, code ORDER BY kind, code"))
{
	my ($kind, $code, $number, $message) = split /\|/, $_, 4;

	note "$kind: $code $number";
	push @unexpected, "$kind: $code $number $message" unless ($code eq 'done' && $kind ne 'trespass') || " $legitimate{$kind} " =~ / $code /;
}
is(join("\n", @unexpected), '', 'nothing was refused for a reason that was not there, and nobody got beyond their org');
is($node->safe_psql('postgres', "SELECT count(DISTINCT kind) FROM soak.outcomes WHERE code = 'done'"), keys(%legitimate) - 1, 'every kind of change was made');

# ---- who is there ----

sub none
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', "SELECT count(*) FROM ($sql) x"), '0', $name);
}

none('SELECT FROM soak.people p LEFT JOIN tenancy.identities d ON d.subject = p.subject LEFT JOIN tenancy.users u ON u.id = d.user_id WHERE u.id IS DISTINCT FROM p.user_id', 'nobody is lost, or somebody else');
none('SELECT FROM tenancy.users u LEFT JOIN tenancy.identities d ON d.user_id = u.id GROUP BY u.id HAVING count(d.subject) <> 1', 'every user has one identity');
none('SELECT subject FROM tenancy.identities GROUP BY issuer_id, subject HAVING count(*) > 1', 'every subject one user');
cmp_ok($node->safe_psql('postgres', 'SELECT count(DISTINCT n) FROM soak.provisioned'), '>', $seconds, 'many have arrived');
none('SELECT n FROM soak.provisioned GROUP BY n HAVING count(DISTINCT user_id) <> 1 OR count(*) FILTER (WHERE created) <> 1', 'each became one user, who was made once');
none("SELECT FROM (SELECT DISTINCT n, user_id FROM soak.provisioned) p LEFT JOIN tenancy.identities d ON d.subject = 'newcomer-' || p.n WHERE d.user_id IS DISTINCT FROM p.user_id", 'who is there still');
none("SELECT FROM tenancy.identities d WHERE d.subject ~ '^newcomer' AND d.subject NOT IN (SELECT 'newcomer-' || n FROM soak.provisioned)", 'nobody came otherwise');
none("SELECT FROM tenancy.identities d LEFT JOIN tenancy.memberships m USING (user_id) WHERE d.subject ~ '^newcomer' GROUP BY d.subject HAVING count(m.org_id) = 0", 'nobody arrived nowhere');
none("SELECT FROM tenancy.organizations WHERE kind = 'personal' GROUP BY created_by HAVING count(*) <> 1", 'nobody has two personal orgs');
none("SELECT FROM tenancy.organizations o WHERE kind = 'personal' AND 1 <> (SELECT count(*) FROM tenancy.memberships m WHERE m.org_id = o.id AND m.user_id = o.created_by)", 'or one of somebody else');
none("SELECT FROM tenancy.identities d WHERE d.subject ~ '^newcomer' AND NOT EXISTS (SELECT FROM tenancy.organizations o WHERE o.kind = 'personal' AND o.created_by = d.user_id)
	AND NOT EXISTS (SELECT FROM tenancy.invitations i WHERE i.accepted_by = d.user_id)", 'who has none was invited');
none("SELECT FROM tenancy.memberships m LEFT JOIN tenancy.membership_roles r USING (user_id, org_id) GROUP BY user_id, org_id HAVING count(r.role_id) = 0", 'every member has a role');
none("SELECT FROM tenancy.organizations o WHERE NOT EXISTS (SELECT FROM tenancy.membership_roles x JOIN tenancy.roles r ON r.id = x.role_id WHERE x.org_id = o.id AND r.name = 'admin') AND o.slug <> 'soak-0'", 'every org has an admin');
none("SELECT FROM tenancy.identities d LEFT JOIN tenancy.audit_events e ON e.action = 'provision_user' AND e.target = d.user_id::text WHERE d.subject ~ '^newcomer' GROUP BY d.subject HAVING count(e.id) = 0", 'the audit log tells of each');
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.invitations i JOIN tenancy.identities d ON d.user_id = i.accepted_by WHERE d.subject ~ '^newcomer'"), '>', 0, 'some were invited');

$node->stop;
# PgBouncer hangs up on what is running as it stops, and so does the server.
is(join('', grep { /PANIC:|TRAP: |FATAL:|ERROR:|terminated by signal/ && !/connection to client lost|terminating connection due to administrator command/ } split /^/, slurp_file($node->logfile)), '', 'and the server log tells of nothing else');
done_testing();
