# A new user with a personal org, of whom she is the admin: seven rows, two of them in the audit log. The floor writes the
# same rows by one statement of a superuser. Whatever the variant, the client first fetches a token that was minted before,
# and sends it; what is measured is the call and COMMIT. All but one have had the token verified by then: whatever follows
# a signature finds the processor's caches full of it.
use strict;
use warnings;

use JSON::PP;

my $ROWS = <<'SQL' =~ s/\n/ /gr;
WITH person AS (INSERT INTO tenancy.users (id, email, email_verified, name)
	VALUES (gen_random_uuid(), :email, true, :name) RETURNING id),
identity AS (INSERT INTO tenancy.identities (issuer_id, subject, user_id) SELECT :issuer::uuid, :subject, p.id FROM person p),
org AS (INSERT INTO tenancy.organizations (slug, name, kind, created_by) SELECT :slug, :name, 'personal', p.id FROM person p RETURNING id),
member AS (INSERT INTO tenancy.memberships (user_id, org_id) SELECT p.id, o.id FROM person p, org o),
role AS (INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
	SELECT p.id, o.id, '00000000-0000-4000-8000-000000000001' FROM person p, org o)
INSERT INTO tenancy.audit_events (org_id, user_id, issuer, subject, database_role, action, target, new_values)
SELECT e.org_id, p.id, 'https://bench.test', :subject::text, session_user, 'provision_user', p.id::text, e.new_values
FROM person p, org o, LATERAL (VALUES (null, jsonb_build_object('created', true)),
	(o.id, jsonb_build_object('slug', :slug::text, 'name', :name::text, 'kind', 'personal', 'role', 'admin'))) e (org_id, new_values)
SQL

# The same in PL/pgSQL, as an application would have it: only for who is not there yet.
my $PLPGSQL = <<'SQL';
CREATE FUNCTION bench.provision(issuer_id uuid, subject text, email text, name text, slug text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	person uuid;
	org uuid;
BEGIN
	SELECT i.user_id INTO person FROM tenancy.identities i WHERE i.issuer_id = provision.issuer_id AND i.subject = provision.subject;
	IF FOUND THEN
		RETURN person;
	END IF;
	INSERT INTO tenancy.users (email, email_verified, name) VALUES (provision.email, true, provision.name) RETURNING id INTO person;
	INSERT INTO tenancy.identities (issuer_id, subject, user_id) VALUES (provision.issuer_id, provision.subject, person);
	INSERT INTO tenancy.audit_events (user_id, issuer, subject, database_role, action, target, new_values)
	VALUES (person, 'https://bench.test', provision.subject, session_user, 'provision_user', person, jsonb_build_object('created', true));
	INSERT INTO tenancy.organizations (slug, name, kind, created_by) VALUES (provision.slug, provision.name, 'personal', person)
	RETURNING id INTO org;
	INSERT INTO tenancy.memberships (user_id, org_id) VALUES (person, org);
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) VALUES (person, org, '00000000-0000-4000-8000-000000000001');
	INSERT INTO tenancy.audit_events (org_id, user_id, issuer, subject, database_role, action, target, new_values)
	VALUES (org, person, 'https://bench.test', provision.subject, session_user, 'provision_user', person,
		jsonb_build_object('slug', provision.slug, 'name', provision.name, 'kind', 'personal', 'role', 'admin'));
	RETURN person;
END
$$;
GRANT USAGE ON SCHEMA bench TO bench_tenancy;
SQL

# Calls of a connection that come before the measured ones: plans are made, caches are filled.
my $UNSETTLED = 8;

sub {
	my ($bench) = @_;
	my $made = 0;

	# People who will come: a row with a token each, found by a sequence.
	my $newcomers = sub {
		$bench->sql(<<"SQL") unless $made;
CREATE TABLE bench.newcomers (n bigint PRIMARY KEY, token text NOT NULL);
CREATE SEQUENCE bench.newcomer;
$PLPGSQL
GRANT SELECT ON bench.newcomers TO bench_tenancy;
GRANT USAGE ON SEQUENCE bench.newcomer TO bench_tenancy;
SQL
		my ($wanted) = @_;
		my @numbers = $made + 1 .. $made + $wanted;
		my @tokens = $bench->tokens('ES256',
			map { {sub => "new-$_", email => "new-$_\@example.com", email_verified => JSON::PP::true, name => "Newcomer $_"} } @numbers);
		my $file = $bench->write("$bench->{work}/tmp/newcomers", join '', map { "$numbers[$_]\t$tokens[$_]\n" } 0 .. $#numbers);
		$bench->sql("\\copy bench.newcomers FROM '$file'");
		$made += $wanted;
	};

	my $run = sub {
		my ($clients, $identify, $call, $user) = @_;
		my $transactions = int($bench->{tokens} / ($clients > 4 ? 8 : 2 * $clients));
		$newcomers->(($transactions + $UNSETTLED) * $clients);
		my $fetch = "SELECT token, 'new-' || n AS subject, 'new-' || n || '\@example.com' AS email, 'Newcomer ' || n AS name, 'newcomer-' || n AS slug"
		  . " FROM bench.newcomers WHERE n = (SELECT nextval('bench.newcomer')) \\gset\n";
		my $once = $fetch . "BEGIN;\n$identify;\n$call;\nCOMMIT;\n";
		my $out = $bench->pgbench_report(
			user => $user,
			clients => $clients,
			transactions => $transactions,
			vars => {issuer => $bench->sql("SELECT id FROM tenancy.issuers WHERE issuer = 'https://bench.test'")},
			report => ['-r'],
			script => "\\if :first\n" . $once x $UNSETTLED . "\\set first 0\n\\endif\n$once");
		my @statements = map { /^\s+([0-9.]+)\s+[0-9]+\s+\S/ ? $1 / 1000 : () } split /\n/, $out;
		return $statements[-1] + $statements[-2];
	};

	my $work = sub {
		my ($clients) = @_;
		my $variant = sub {
			my ($name, $title, $user, $identify, $call, @more) = @_;
			return {name => $name, title => $title, @more, run => sub { $run->($clients, $identify, $call, $user) }};
		};
		my $verified = 'SELECT status FROM tenancy.begin_session(:token)';
		return {
			name => "provision_$clients",
			title => "provision_user, new subject, $clients client" . ($clients > 1 ? 's' : ''),
			goal => 1.15,
			forms => [1],
			variants => [
				$variant->('floor', 'floor: one statement of a superuser', 'postgres', $verified, $ROWS),
				$variant->('tenancy', 'tenancy, the token verified before', 'bench_tenancy', $verified,
					'SELECT * FROM tenancy.provision_user()'),
				$variant->('unseen', 'tenancy, verifying the token as well', 'bench_tenancy',
					"SELECT set_config('tenancy.session_token', :token, true)", 'SELECT * FROM tenancy.provision_user()'),
				$variant->('plpgsql', 'PL/pgSQL function, trusting its arguments', 'bench_tenancy', $verified,
					'SELECT bench.provision(:issuer, :subject, :email, :name, :slug)', peer => 1),
			],
		};
	};
	return map { $work->($_) } 1, 4, 16;
};
