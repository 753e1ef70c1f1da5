# shellcheck shell=bash
#
# Shell functions shared by the scripts in dev/. Sourced by bash, after `set -euo pipefail`.
#
# What they keep to:
#  - nothing is installed into the system's PostgreSQL: each work directory holds a private copy of
#    the sources, a build, and a staged PostgreSQL of its own (PostgreSQL finds its files relative to
#    the postgres binary, so a copied bin/ beside links to the rest is an installation);
#  - so any number of scripts run side by side, as any users;
#  - servers listen on a socket in the work directory alone, and run as postgres when we are root;
#  - a work directory goes away with the script, servers in it are stopped by their own pg_ctl.

TN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
TN_PROG=dev/$(basename "$0")
TN_ADMIN=postgres            # the superuser of every throwaway server, whoever runs it

# The majors we build against; src/compat.h refuses others.
# shellcheck disable=SC2034
TN_PG_MIN=15 TN_PG_MAX=18

# A server somebody else points at is none of ours.
for _v in "${!PG@}"; do
	case $_v in PG_CONFIG) ;; *) unset "$_v" ;; esac
done
unset _v

say() { printf '%s\n' "$*"; }

die() {
	printf '%s: %s\n' "$TN_PROG" "$*" >&2
	exit 1
}

# as_server COMMAND...: run it as the account that owns servers and work directories: ours, or postgres
# when we are root. setpriv executes in place, so signals and process groups stay as they are.
as_server() {
	if [ "$(id -u)" -eq 0 ]; then
		(
			cd "${TN_WORK:-/}" || exit
			exec setpriv --reuid=postgres --regid=postgres --init-groups \
				env HOME="${TN_WORK:-/}" USER=postgres LOGNAME=postgres "$@"
		)
	else
		(
			cd "${TN_WORK:-/}" || exit
			exec "$@"
		)
	fi
}

# await COMMAND...: run it in the background and wait, so that a signal to this script is handled at once
# and not after the command. It gets a process group of its own, which the exit trap ends.
await() {
	local status=0
	set -m
	"$@" </dev/null &
	TN_CHILD=$!
	set +m
	wait "$TN_CHILD" || status=$?
	TN_CHILD=
	return "$status"
}

# --- which PostgreSQL ---

pg_major() { "$1" --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'; }

# A pg_config is usable when the server and all that an extension is built and tested with are there.
pg_usable() {
	[ -x "$1" ] && [ -x "$("$1" --bindir)/postgres" ] && [ -f "$("$1" --pgxs)" ] &&
		[ -f "$("$1" --includedir-server)/postgres.h" ]
}

# older_majors: those before PG_CONFIG's that are installed beside it, with their headers; a line each, "MAJOR PG_CONFIG".
older_majors() {
	local major n older
	major=$(pg_major "$PG_CONFIG")
	for ((n = TN_PG_MIN; n < major; n++)); do
		older=${PG_CONFIG//"$major"/$n}
		if [ "$older" != "$PG_CONFIG" ] && pg_usable "$older"; then printf '%s %s\n' "$n" "$older"; fi
	done
}

# look_into_postgresql: where PG_CONFIG's things are.
look_into_postgresql() {
	TN_BINDIR=$("$PG_CONFIG" --bindir)
	TN_PKGLIBDIR=$("$PG_CONFIG" --pkglibdir)
	TN_SHAREDIR=$("$PG_CONFIG" --sharedir)
}

# setup_env: make sure all that is needed is there (quiet if it is), and learn where.
setup_env() {
	"$TN_ROOT/dev/setup" "$@"
	local env
	env=$("$TN_ROOT/dev/setup" --env) || exit 1
	eval "$env"
	look_into_postgresql
	if [ "$(id -u)" -eq 0 ] && ! id postgres >/dev/null 2>&1; then
		die "servers do not run as root and there is no account postgres to use: create it, or run as another user"
	fi
}

# new_work_dir: create TN_WORK, a private directory, and remove it (and all servers in it) on exit.
new_work_dir() {
	local parent=${TMPDIR:-/tmp}
	# Sockets have a limit of about 100 bytes; and postgres must be able to get there.
	if [ "${#parent}" -gt 50 ] || ! as_server test -x "$parent"; then
		parent=/tmp
	fi
	adopt_work_dir "$(mktemp -d "$parent/tenancy.XXXXXXXX")"
}

# adopt_work_dir DIR: make the existing, private DIR the work directory, to be removed on exit.
adopt_work_dir() {
	TN_WORK=$1
	trap tn_on_exit EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	own_work_dir
}

# leave_work_dir: let the work directory and its server outlive this script.
leave_work_dir() {
	trap - EXIT HUP INT TERM
	TN_WORK=
}

# own_work_dir: hand TN_WORK, with what we put there, to the account that runs servers.
own_work_dir() {
	mkdir -p "$TN_WORK/tmp"
	if [ "$(id -u)" -eq 0 ]; then
		chown -Rh postgres: "$TN_WORK"
	fi
	export TMPDIR=$TN_WORK/tmp
}

# Set TN_KEEP=1 to keep the work directory (its servers are stopped all the same). A script that defines
# tn_at_exit has it called with the exit status first; what it returns becomes the exit status.
tn_on_exit() {
	local status=$?
	trap '' HUP INT TERM
	trap - EXIT
	set +e
	if [ -n "${TN_CHILD:-}" ]; then
		kill -TERM -- "-$TN_CHILD" 2>/dev/null
		wait "$TN_CHILD" 2>/dev/null
	fi
	if declare -F tn_at_exit >/dev/null; then
		tn_at_exit "$status"
		status=$?
	fi
	if [ -n "${TN_WORK:-}" ]; then
		remove_work_dir "$TN_WORK"
	fi
	exit "$status"
}

# remove_work_dir DIR: stop every server with its data somewhere below, then remove all of it.
remove_work_dir() {
	local dir=$1 pid_file
	[ -d "$dir" ] || return 0
	while IFS= read -r pid_file; do
		stop_data_dir "$dir" "$(dirname "$pid_file")"
	done < <(find "$dir" -name postmaster.pid 2>/dev/null)
	if [ -z "${TN_KEEP:-}" ]; then
		cd /
		rm -rf -- "$dir"
	fi
}

# stop_data_dir DIR DATADIR: by the pg_ctl staged in DIR; immediate if it does not want to.
stop_data_dir() {
	local bin
	bin=$(staged_bin "$1")
	if [ -x "$bin/pg_ctl" ]; then
		TN_WORK=$1 as_server "$bin/pg_ctl" -D "$2" -m fast -t 20 -w -s stop >/dev/null 2>&1 ||
			TN_WORK=$1 as_server "$bin/pg_ctl" -D "$2" -m immediate -t 20 -w -s stop >/dev/null 2>&1 ||
			true
	fi
}

# staged_bin DIR: where the PostgreSQL programs of a work directory are.
staged_bin() {
	if [ -f "$1/bindir" ]; then
		cat "$1/bindir"
	else
		find "$1/stage" -type d -path '*/bin' 2>/dev/null | head -n 1
	fi
}

# stage_postgres: a private installation in TN_WORK/stage, laid out as the original. Programs are copied,
# since a server looks for its files from where its own binary really is; the rest is links.
stage_postgres() {
	local stage=$TN_WORK/stage f
	STAGE_BIN=$stage$TN_BINDIR
	mkdir -p "$STAGE_BIN" "$stage$TN_PKGLIBDIR" "$stage$TN_SHAREDIR/extension"
	cp -L "$TN_BINDIR"/* "$STAGE_BIN/"
	# It would tell of directories that are not there, to whoever has the stage on the PATH.
	rm -f "$STAGE_BIN/pg_config"
	for f in "$TN_PKGLIBDIR"/*; do
		case ${f##*/} in tenancy.so) ;; *) ln -s "$f" "$stage$TN_PKGLIBDIR/" ;; esac
	done
	for f in "$TN_SHAREDIR"/*; do
		case ${f##*/} in extension) ;; *) ln -s "$f" "$stage$TN_SHAREDIR/" ;; esac
	done
	for f in "$TN_SHAREDIR"/extension/*; do
		case ${f##*/} in tenancy.control | tenancy--*) ;; *) ln -s "$f" "$stage$TN_SHAREDIR/extension/" ;; esac
	done
	printf '%s\n' "$STAGE_BIN" >"$TN_WORK/bindir"
}

# build_and_stage [MAKE ARGUMENT...]: copy the sources to TN_WORK/src, build the extension and the token mint
# there with warnings as errors, and install it into the staged PostgreSQL. Sets STAGE_BIN, MINT and TN_SRC.
build_and_stage() {
	TN_SRC=$TN_WORK/src
	MINT=$TN_SRC/test/tools/mint
	mkdir "$TN_SRC"
	local f parts=()
	for f in Makefile tenancy.control META.json src sql test bench expected README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md LICENSE docs; do
		if [ -e "$TN_ROOT/$f" ]; then parts+=("$f"); fi
	done
	tar -C "$TN_ROOT" -cf - --exclude='*.o' --exclude='*.d' --exclude='*.so' --exclude=bench/results "${parts[@]}" | tar -C "$TN_SRC" --no-same-owner -xf -
	stage_postgres
	if ! await run_make "$@" >"$TN_WORK/build.log" 2>&1; then
		cat "$TN_WORK/build.log" >&2
		die "the build failed"
	fi
	own_work_dir
	export MINT STAGE_BIN
}

# build_for MAJOR PG_CONFIG [MAKE ARGUMENT...]: the same for another major, in TN_WORK/MAJOR. To be awaited: what it sets is not for
# this process.
build_for() {
	await() { "$@"; }
	TN_WORK=$TN_WORK/$1 PG_CONFIG=$2
	shift 2
	mkdir "$TN_WORK"
	look_into_postgresql
	build_and_stage "$@"
}

run_make() {
	local make=(make -s -C "$TN_SRC" PG_CONFIG="$PG_CONFIG" LIBJWT_PREFIX="$LIBJWT_PREFIX" DEV=1)
	"${make[@]}" clean &&
		"${make[@]}" -j "$(nproc)" all test-tools "$@" &&
		"${make[@]}" install DESTDIR="$TN_WORK/stage"
}

# start_server [SETTING...]: a fresh server in TN_WORK, on a socket there; settings as "name = value".
# Exports what a client needs: PGHOST, PGPORT, PGUSER (the superuser), PATH with the staged programs.
start_server() {
	init_server "$@"
	if ! await as_server "$STAGE_BIN/pg_ctl" -D "$TN_WORK/data" -l "$TN_WORK/server.log" -w -t 60 -s start >"$TN_WORK/pg_ctl.log" 2>&1; then
		cat "$TN_WORK/pg_ctl.log" "$TN_WORK/server.log" >&2 || true
		die "the server did not start"
	fi
}

init_server() {
	local socket=$TN_WORK/socket setting
	if ! await as_server "$STAGE_BIN/initdb" -A trust -U "$TN_ADMIN" -E UTF8 --no-locale -N -D "$TN_WORK/data" >"$TN_WORK/initdb.log" 2>&1; then
		cat "$TN_WORK/initdb.log" >&2
		die "initdb failed"
	fi
	as_server mkdir -m 0700 "$socket"
	{
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$socket'" \
			"fsync = off" "full_page_writes = off" "synchronous_commit = off" \
			"log_line_prefix = '%m [%p] %q%u@%d '"
		for setting in "$@"; do printf '%s\n' "$setting"; done
	} | as_server tee -a "$TN_WORK/data/postgresql.conf" >/dev/null
	export PGHOST=$socket PGPORT=5432 PGUSER=$TN_ADMIN
	export PATH=$STAGE_BIN:$PATH
}

# stop_server: that of TN_WORK.
stop_server() {
	stop_data_dir "$TN_WORK" "$TN_WORK/data"
}
