# shellcheck shell=bash
#
# What dev/test checks besides its tests, of the sources and of what was built from them. Sourced by it; each function is a check, prints
# what is wrong and fails then. They need setup_env and build_and_stage, check_functions a server.

# META.json repeats the version for PGXN, which wants three numbers.
check_meta() {
	perl -MJSON::PP -e '
		local $/; my ($json, $control) = map { open my $f, "<", $_ or die "$_: $!\n"; <$f> } @ARGV;
		my ($want) = $control =~ /^default_version *= *\x27(.*)\x27/m or die "no default_version in tenancy.control\n";
		$want .= ".0" while ($want =~ tr/.//) < 2;
		my $meta = decode_json($json);
		for ($meta->{version}, map { $_->{version} } values %{$meta->{provides}}) {
			$_ eq $want or die "META.json says version $_, tenancy.control $want\n";
		}' "$TN_SRC/META.json" "$TN_SRC/tenancy.control"
}

# The library exports what SQL calls, and what PostgreSQL asks for: any other symbol, of ours or of the libjwt linked in, can clash with
# another library's. A function that SQL does not call would be one that nobody tests.
check_exports() {
	local differences
	differences=$(diff <(nm -D --defined-only "$TN_SRC/tenancy.so" | awk '{ print $3 }' | LC_ALL=C sort) \
		<({
			echo _PG_init
			echo Pg_magic_func
			cat "$TN_SRC"/sql/tenancy--*.sql | sed -n "s/.*AS 'MODULE_PATHNAME', '\([a-z0-9_]*\)'.*/\1\npg_finfo_\1/p"
		} | LC_ALL=C sort -u)) || {
		echo "tenancy.so exports (<) and the install script calls (>):"
		echo "$differences"
		return 1
	}
}

# A file includes those of the layers above its own in the list of CONTRIBUTING.md, and of its own layer. The list names every file.
check_layers() {
	perl - "$TN_SRC" <<-'PERL'
		use strict;
		use warnings;
		chdir $ARGV[0] or die "$ARGV[0]: $!\n";
		my (%layer, $layers);
		my $wrong = 0;
		sub complain { print "$_[0]\n"; $wrong = 1 }
		sub lines { open my $file, '<', $_[0] or die "$_[0]: $!\n"; return <$file> }
		for (lines('CONTRIBUTING.md')) {
			next unless /^The layers, from the bottom/ .. /^To find your way/ and /^[a-z]/ and /  \S/;
			$layers++;
			# The names stand in the first 38 columns.
			$layer{$_} = $layers for substr($_, 0, 38) =~ /\w+/g;
		}
		complain("CONTRIBUTING.md lists no layers") unless $layers;
		for (sort keys %layer) { complain("CONTRIBUTING.md lists $_, which is not there") unless -e "src/$_.h" || -e "src/$_.c" }
		for my $file (sort glob 'src/*.[ch]') {
			my ($own) = $file =~ m{(\w+)\.};
			complain("$file is in no layer of CONTRIBUTING.md"), next unless $layer{$own};
			for (lines($file)) {
				complain("$file includes $1.h, of a layer below its own")
				  if /^\s*#\s*include\s+"(\w+)\.h"/ && $layer{$1} && $layer{$1} > $layer{$own};
			}
		}
		exit $wrong;
	PERL
}

# Without a version compat.h ends in #error, at which cppcheck leaves the file without a word. A test that gets no memory may crash.
check_cppcheck() {
	(cd "$TN_SRC" && cppcheck --quiet --error-exitcode=1 -j "$(nproc)" -DPG_VERSION_NUM="${TN_PG_MIN}0000" --std=c11 --enable=warning,performance,portability \
		--suppress='nullPointerOutOfMemory:test/*' --suppress='nullPointerArithmeticOutOfMemory:test/*' \
		--library=posix --library="$TN_ROOT/dev/cppcheck.cfg" -Isrc -Itest/tools src/*.c test/*/*.c bench/*.c)
}

# tidy_file CHECKS FILE: .clang-tidy says what is asked, CHECKS what more. On stderr clang counts what it leaves out.
tidy_file() {
	clang-tidy --quiet --config-file="$TN_ROOT/.clang-tidy" --checks="$1" "$2" -- -std=gnu11 -D_GNU_SOURCE -Isrc \
		-isystem "$("$PG_CONFIG" --includedir-server)" -isystem "$LIBJWT_PREFIX/include" 2>/dev/null
}

# Of what is pure C the analyzer asks as well; but not for memcpy_s(), which no libc here has.
check_tidy() {
	local file checks
	export -f tidy_file
	export TN_ROOT
	(
		cd "$TN_SRC" || exit
		for file in src/*.c; do
			case $file in
			src/token.c | src/keyring.c | src/warm_up.c)
				checks='clang-analyzer-*,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling'
				;;
			*) checks= ;;
			esac
			printf '%s\0' "$checks" "$file"
		done | xargs -0 -n 2 -P "$(nproc)" bash -c 'tidy_file "$@"' bash
	)
}

check_shell() {
	# SC2317, and SC2329 in later versions: a function is never called, it says, if the file exits on the line that calls main, or if it
	# is called by its name in an argument.
	(cd "$TN_ROOT" && grep -lE -d skip '^#!.*(ba)?sh$|^# shellcheck shell=' dev/* bench/* .ci/* | xargs shellcheck -x -P SCRIPTDIR -e SC2317,SC2329)
}

# perl_file FILE: its syntax, with warnings. A work of the benchmark ends in the value that it is called for.
perl_file() {
	local out status=0
	case $1 in
	bench/works/*) out=$(perl -w -I bench -e 'defined(do "./$ARGV[0]") or die $@ || "$!\n"' "$1" 2>&1) || status=$? ;;
	*) out=$(perl -w -c -I bench -I test/t -I "$TN_PKGLIBDIR/pgxs/src/test/perl" "$1" 2>&1) || status=$? ;;
	esac
	out=$(grep -v ' syntax OK$' <<<"$out") || true
	if [ "$status" -ne 0 ] || [ -n "$out" ]; then
		printf '%s\n' "$out"
		return 1
	fi
}

check_perl() {
	export -f perl_file
	export TN_PKGLIBDIR
	# shellcheck disable=SC2016
	(cd "$TN_SRC" && grep -rIlZE '^#!.*perl|^use strict;' bench test |
		xargs -0 -n 1 -P "$(nproc)" bash -c 'perl_file "$1"' bash)
}

# What PostgreSQL does not look at when an extension's script runs: the bodies of functions, also where no test comes by. A name that is
# neither qualified nor of pg_catalog is an error there, as each function sets search_path.
check_functions() {
	local database=checks work=$TN_WORK/functions psql=("$STAGE_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1)
	mkdir "$work" && "$STAGE_BIN/createdb" "$database" || return
	"${psql[@]}" -d "$database" -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION tenancy' -c 'CREATE EXTENSION plpgsql_check' || return
	"${psql[@]}" -d "$database" -o "$work/bodies.sql" -c "SELECT pg_get_functiondef(p.oid) || ';'
		FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'tenancy'::regnamespace AND l.lanname = 'sql'" || return
	"${psql[@]}" -d "$database" -c 'SET check_function_bodies = on' -f "$work/bodies.sql" || return
	"${psql[@]}" -d "$database" -o "$work/findings" -f "$TN_ROOT/dev/check_functions.sql" || return
	cat "$work/findings"
	[ ! -s "$work/findings" ]
}
